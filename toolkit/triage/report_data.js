/*
 * The records: lines of JSON in blocks of the page. What the lists need of a process is
 * kept, the whole is parsed again from its line when somebody wants to see it.
 */

/* Every record's place, in order: where its line begins and ends in which block. */
const blocks = [...document.querySelectorAll('script[type="application/json"]')];
const places = []; /* { block, from, to } */
const byType = new Map();
const processes = new Map(); /* "PID START" to what is kept of it */
const extraText = new Map(); /* record number to its base64 texts, for the search */
const keys = new Set();      /* names of members: a search means values */
let header = {}, end = null, badLines = 0, started = false;

const ofType = type => byType.get(type) || [];
const processKey = subject => `${number(subject.pid)} ${number(subject.start_ticks)}`;

/* The record as it stands in the page. */
function whole(index) {
	const place = places[index];
	return object(JSON.parse(blocks[place.block].textContent.slice(place.from, place.to)));
}

/* The first of a text, which stays one: 198 is a multiple of three, for base64. */
function beginningOf(text) {
	if (typeof text === 'string')
		return text.slice(0, 198);
	const { base64 } = object(text);
	return typeof base64 === 'string' ? { base64: base64.slice(0, 198 / 3 * 4) }
		: string(object(text).text).slice(0, 198);
}

/* What the lists show of a process. */
function keptOf(record, index) {
	const exe = object(record.exe), argv = list(record.argv);
	return {
		index, pid: number(record.pid), ppid: number(record.ppid),
		start_ticks: number(record.start_ticks), start: string(record.start),
		comm: beginningOf(record.comm), kernel: record.kernel_thread === true,
		command: argv.slice(0, 12).map(beginningOf), more: argv.length > 12,
		user: list(record.uid).length ? number(record.uid[0]) : null,
		deleted: exe.deleted === true, memfd: exe.memfd === true,
		container: string(object(record.container).id),
		state: string(record.state), coherent: record.coherent !== false,
		netns: object(record.namespaces).net, unread: list(record.unread),
		children: [], parent: null, findings: [],
	};
}

function collectTexts(value, into) {
	if (Array.isArray(value)) {
		value.forEach(item => collectTexts(item, into));
	} else if (value !== null && typeof value === 'object') {
		if (typeof value.base64 === 'string')
			into.push(plain(value));
		else
			Object.values(value).forEach(item => collectTexts(item, into));
	}
}

function collectKeys(value) {
	if (Array.isArray(value)) {
		value.slice(0, 4).forEach(collectKeys);
	} else if (value !== null && typeof value === 'object') {
		for (const key of Object.keys(value).slice(0, 64)) {
			keys.add(key.toLowerCase());
			collectKeys(value[key]);
		}
	}
}

function takeRecord(record, line, place) {
	const index = places.push(place) - 1;
	const type = string(record.type);
	if (!byType.has(type))
		byType.set(type, []);
	if (byType.get(type).length < 20)
		collectKeys(record);
	if (line.includes('"base64"')) {
		const texts = [];
		collectTexts(record, texts);
		extraText.set(index, texts.join('\n').toLowerCase());
	}
	if (type === 'process') {
		const kept = keptOf(record, index);
		processes.set(processKey(kept), kept);
		byType.get(type).push(kept);
		return;
	}
	if (type === 'header' && !started) {
		header = record;
		started = true;
	}
	if (type === 'end')
		end = record;
	record.index = index;
	byType.get(type).push(record);
}

/* Each line of a block but its brackets is a record and, but for the last, a comma. */
function readBlock(text, block) {
	for (let from = 0, to; from < text.length; from = to + 1) {
		to = text.indexOf('\n', from);
		if (to < 0)
			to = text.length;
		const last = text[to - 1] === ',' ? to - 1 : to;
		const line = text.slice(from, last);
		if (line === '[' || line === ']' || line === '')
			continue;
		try {
			takeRecord(object(JSON.parse(line)), line, { block, from, to: last });
		} catch {
			badLines++;
		}
	}
}

/* Parents: the one of that number that was there before; nobody is his own ancestor. */
function linkProcesses() {
	const byPid = new Map();
	for (const kept of ofType('process'))
		if (!byPid.has(kept.pid))
			byPid.set(kept.pid, kept);
	for (const kept of ofType('process')) {
		const parent = byPid.get(kept.ppid);
		if (parent && parent !== kept && parent.start_ticks <= kept.start_ticks &&
				!descends(parent, kept)) {
			kept.parent = parent;
			parent.children.push(kept);
		}
	}
	for (const finding of ofType('finding')) {
		const kept = processes.get(processKey(object(finding.subject)));
		if (kept && object(finding.subject).pid !== undefined)
			kept.findings.push(finding);
	}
}

function descends(from, ancestor) {
	for (let at = from; at; at = at.parent)
		if (at === ancestor)
			return true;
	return false;
}

blocks.forEach((block, index) => readBlock(block.textContent, index));
linkProcesses();

/*
 * The search looks through every line as it stands, which is fast, and takes apart those
 * that it finds where the name of a member could be meant. JSON's escapes are put into
 * what is looked for. Returns which records have it, or null for nothing looked for.
 */
function search(query) {
	if (!query)
		return null;
	const found = new Uint8Array(places.length);
	const shownAs = query.toLowerCase();
	/* Escapes as the page shows them are what they stand for. */
	query = query.replace(/\\x([0-9a-f]{2})|\\u([0-9a-f]{4})/gi,
		(all, byte, unit) => String.fromCharCode(parseInt(byte || unit, 16)));
	const needle = JSON.stringify(query).slice(1, -1).replace(/[<>&\u007f-\uffff]/g,
		c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0')).toLowerCase();
	const lower = query.toLowerCase();
	const ambiguous = /["\[\]{}:,\\]/.test(query) ||
		[...keys].some(key => key.includes(lower));
	let next = 0; /* of places */
	blocks.forEach((node, block) => {
		const text = node.textContent.toLowerCase();
		for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at)) {
			while (next < places.length && (places[next].block < block ||
					(places[next].block === block && places[next].to <= at)))
				next++;
			if (next === places.length || places[next].block > block)
				break;
			if (at >= places[next].from)
				found[next] = !ambiguous || hasValue(whole(next), lower) ? 1 : 0;
			at = Math.max(places[next].to, at + 1);
		}
	});
	for (const [index, text] of extraText)
		if (text.includes(shownAs))
			found[index] = 1;
	return found;
}

function hasValue(value, lower) {
	if (Array.isArray(value))
		return value.some(item => hasValue(item, lower));
	if (value !== null && typeof value === 'object')
		return Object.values(value).some(item => hasValue(item, lower));
	return String(value).toLowerCase().includes(lower);
}
