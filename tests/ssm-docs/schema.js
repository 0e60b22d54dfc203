// Holds runbooks against the JSON Schema of AWS's own language server:
// node schema.js MODULES RUNBOOK... where MODULES holds the npm packages. The schema is of
// 2020: it knows neither onCancel nor a Python later than 3.7, so these two are taken out.
'use strict';
const fs = require('fs');
const path = require('path');
const modules = process.argv[2];
const Ajv = require(path.join(modules, 'ajv'));
const schema = JSON.parse(fs.readFileSync(path.join(modules,
	'aws-ssm-document-language-service/dist/schema.json')));
const validate = new Ajv({strict: false, unicodeRegExp: false}).compile(schema);
let failed = 0;

function tell(what, right, detail) {
	console.log(`${right ? 'ok' : 'FAIL'} schema: ${what}`);
	if (!right) {
		console.log(`     | ${JSON.stringify(detail)}`);
		failed = 1;
	}
}

function older(book) {
	for (const step of book.mainSteps) {
		delete step.onCancel;
		if (step.inputs.Runtime === 'python3.11') step.inputs.Runtime = 'python3.7';
	}
	return book;
}

for (const file of process.argv.slice(3)) {
	const read = () => older(JSON.parse(fs.readFileSync(file)));
	tell(path.basename(file), validate(read()), validate.errors);
	const broken = read();
	broken.mainSteps[0].action = 'aws:executeAwsApis';
	tell(`${path.basename(file)} with an unknown action is refused`, !validate(broken));
	const other = read();
	other.mainSteps[0].onFailure = 'elsewhere';
	tell(`${path.basename(file)} with an unknown onFailure is refused`, !validate(other));
}
process.exit(failed);
