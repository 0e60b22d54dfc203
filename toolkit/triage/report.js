/* The page: what is wrong first, then everything, section by section. */

const sections = []; /* { id, title, element, draw, drawn } */
let found = null;    /* what search() returned */

/*
 * A section. make() returns { element, draw(found) }, draw returning how many records it
 * shows; it is called when the section is opened. Without records there is no section.
 */
function addSection(id, title, count, open, make) {
	if (!count)
		return;
	const heading = el('h2', '', title);
	const counter = el('span', 'count', count);
	const place = el('div', 'content');
	const element = el('details', 'section', el('summary', '', heading, ' ', counter), place);
	const section = { id, title, element, counter, count, content: null };
	element.id = id;
	element.open = open;
	element.addEventListener('toggle', () => drawSection(section));
	section.make = () => {
		section.content = make();
		place.replaceChildren(section.content.element);
	};
	sections.push(section);
	document.getElementById('sections').append(element);
	document.getElementById('contents').append(
		el('li', '', button(`${title} (${count})`, 'link', () => {
			element.open = true;
			drawSection(section);
			element.scrollIntoView();
			element.querySelector('summary').focus();
		})));
	if (open)
		drawSection(section);
}

function drawSection(section) {
	if (!section.element.open)
		return;
	if (!section.content)
		section.make();
	if (section.drawnFor === found)
		return;
	section.drawnFor = found;
	const count = section.content.draw(found);
	section.counter.textContent = found ? `${count} of ${section.count}` : section.count;
}

/* A section that is a table of the records of a type, or of some of them. */
function addTable(id, title, rows, open, columns, filters) {
	addSection(id, title, rows.length, open, () => {
		const table = new Table({ columns, rows, label: title });
		if (!filters)
			return table;
		const bar = el('p', 'filters', ...filters.map(filter => choice(filter, table)));
		table.element.prepend(bar);
		return table;
	});
}

/* A list to choose one value of a column by. */
function choice({ label, value }, table) {
	const select = el('select', '', el('option', '', 'all'));
	const values = [...new Set(table.rows.map(row => value(row)))].sort(compare);
	select.append(...values.slice(0, 500).map(item => el('option', '', item)));
	const before = table.keep;
	table.keep = row => before(row) && (select.selectedIndex === 0 ||
		String(value(row)) === select.value);
	select.addEventListener('change', () => table.draw(table.found));
	return el('label', '', label + ' ', select);
}

/* Columns by the names of members: text, number or anything else. */
const textColumn = (name, member, className) => ({
	name, className, cell: row => isText(row[member]) || typeof row[member] === 'number'
		? shown(row[member]) : row[member] === undefined ? '' : anything(row[member]),
	sort: row => typeof row[member] === 'number' ? row[member] : plain(row[member]),
});
const listColumn = (name, member) => ({
	name, cell: row => list(row[member]).length ? anyList(list(row[member])) : '',
	sort: row => list(row[member]).map(plain).join(' '),
});
const timeColumn = (name, member) => ({
	name, cell: row => shown(timeText(row[member])), sort: row => string(row[member]),
});
/* The record whole, in the pane. */
const wholeColumn = title => ({
	name: '', cell: row => button('whole', 'link', () => {
		const { type, ...rest } = whole(row.index);
		openPane([title], anything(rest));
	}), sort: row => row.index,
});

function endText(socket, side) {
	const { address, port } = object(side);
	if (address === undefined)
		return '';
	const host = plain(address);
	return (host.includes(':') ? `[${host}]` : host) + ':' + (number(port) || '*');
}

/* Who holds a socket. */
function ownersCell(socket) {
	const owners = list(socket.owners);
	if (!owners.length)
		return el('span', 'note', number(socket.inode) ? 'nobody known' : 'kernel');
	return el('span', '', ...owners.slice(0, 8).flatMap((owner, i) =>
		[i ? ', ' : '', processOf(owner)]),
	owners.length > 8 ? ` and ${owners.length - 8} more` : '');
}

const socketColumns = [
	textColumn('Protocol', 'protocol'),
	{ name: 'Local', cell: row => shown(endText(row, row.local) || row.path),
		sort: row => endText(row, row.local) || plain(row.path) },
	{ name: 'Remote', cell: row => shown(endText(row, row.remote)),
		sort: row => endText(row, row.remote) },
	textColumn('State', 'state'),
	{ name: 'Process', cell: ownersCell,
		sort: row => number(object(list(row.owners)[0]).pid) },
	textColumn('User', 'uid', 'number'),
	textColumn('Namespace', 'netns', 'number'),
	listColumn('Seen by', 'views'),
	wholeColumn('Socket'),
];
const socketFilters = [
	{ label: 'protocol', value: row => plain(row.protocol) },
	{ label: 'state', value: row => plain(row.state) },
	{ label: 'namespace', value: row => plain(row.netns) },
];

function findingCard(finding) {
	const severity = severityOf(finding);
	const subject = object(finding.subject);
	const { pid, start_ticks: start, ...other } = subject;
	return el('article', 'finding ' + severity,
		el('h3', '', el('span', 'mark ' + severity, severity), ' ',
			shown(string(finding.kind).replaceAll('_', ' '))),
		el('p', '', shown(finding.text)),
		pid === undefined ? null : el('p', '', 'Process ', processOf(subject)),
		Object.keys(other).length ? anything(other) : null,
		Object.keys(object(finding.evidence)).length
			? el('div', 'evidence', anything(finding.evidence)) : null,
		number(finding.rechecked)
			? el('p', 'note', `Seen again ${finding.rechecked} times.`) : null);
}

/* Findings, the worst first. */
function findingsSection() {
	const findings = [...ofType('finding')].sort((a, b) =>
		SEVERITIES.indexOf(severityOf(a)) - SEVERITIES.indexOf(severityOf(b)));
	const element = el('div', 'findings');
	let limit = PAGE_ROWS / 2;
	const draw = hits => {
		const wanted = findings.filter(finding => !hits || hits[finding.index]);
		element.replaceChildren(...wanted.slice(0, limit).map(findingCard));
		if (wanted.length > limit)
			element.append(button(`Show ${wanted.length - limit} more`, 'action', () => {
				limit = Infinity;
				draw(hits);
			}));
		if (!wanted.length)
			element.append(el('p', 'more', 'Nothing of this is found.'));
		return wanted.length;
	};
	return { element, draw };
}

/* The reasons of the schema in words. */
const REASONS = {
	capability: 'for want of a capability', yama: 'refused by Yama',
	hidepid: 'hidden by hidepid', seccomp: 'refused by seccomp',
	lsm: 'refused by the security module', user_namespace: 'of another user namespace',
	gone: 'gone before they were read', blocked: 'that did not answer',
	too_large: 'too large', not_supported: 'that this kernel does not have',
	would_change_host: 'that reading would have changed the host', error: 'that failed',
};

/* What is missing: the reader must not take what is not here for what was not there. */
function gaps() {
	const said = [];
	const counts = Object.entries(object(object(end).unread)).filter(([, count]) => count);
	const incoherent = ofType('process').filter(kept => !kept.coherent).length;
	if (!started)
		said.push('There is no header: it is not known where and when this was taken.');
	if (!end)
		said.push('The records have no end: they were cut short, and what is missing ' +
			'cannot be told.');
	else if (end.complete !== true)
		said.push('Not everything that was allowed could be read.');
	if (badLines)
		said.push(`${badLines} records could not be read by this page.`);
	if (counts.length)
		said.push('Not read: ' + counts.map(([reason, count]) =>
			`${number(count)} ${Object.hasOwn(REASONS, reason) ? REASONS[reason] : plain(reason)}`).join(', ') + '.');
	if (incoherent)
		said.push(`${incoherent} process${incoherent === 1 ? "" : "es"} changed while being read.`);
	if (header.redacted === true)
		said.push('Environments were redacted.');
	return said;
}

function privileges() {
	const names = capabilityNames(header.capabilities);
	const limits = [];
	if (isText(header.hidepid))
		limits.push(` hidepid=${plain(header.hidepid)}`);
	if (typeof header.yama === 'number')
		limits.push(` yama ${header.yama}`);
	return `uid ${header.uid ?? '?'}, capabilities ${names || '?'};${limits}`
		.replace(/;$/, '');
}

function summary() {
	const said = gaps();
	const counts = SEVERITIES.map(severity => [severity,
		ofType('finding').filter(finding => severityOf(finding) === severity).length]);
	const facts = [
		['Taken', el('span', '', timeText(header.time), ' by triage ',
			shown(object(header.tool).version))],
		['Instance', shown(header.instance)],
		['Kernel', el('span', '', shown(header.release), ' ', shown(header.machine), ' ',
			shown(header.version))],
		['Booted', el('span', '', timeText(header.boot_time), ' ',
			shown(header.boot_id, 'text note'))],
		['As', privileges()],
		['Within', header.container ? anything(header.container) : null],
		['Seen', `${processes.size} processes, ${ofType('socket').length} sockets, ` +
			`${ofType('module').length} modules, ${ofType('file').length} files`],
	].filter(([, fact]) => fact !== null &&
		(typeof fact === 'string' ? fact : fact.textContent));
	return [
		el('h1', '', 'Triage of ', shown(header.hostname || 'an unknown host')),
		el('div', said.length ? 'state gaps' : 'state whole', ...said.length
			? [el('strong', '', end && end.complete === true ? 'With gaps' : 'Incomplete'),
				el('ul', '', ...said.map(text => el('li', '', text)))]
			: [el('strong', '', 'Complete: '), 'every view that the privileges allow ' +
				'was read.']),
		el('p', 'counts', ...counts.map(([severity, count]) =>
			el('span', 'mark ' + (count ? severity : ''), `${count} ${severity}`))),
		el('dl', 'facts', ...facts.flatMap(([name, fact]) =>
			[el('dt', '', name), el('dd', '', fact)])),
		el('p', '', button('The header and the end, whole', 'link', () =>
			openPane(['Header and end'], part('Header', anything(header)),
				part('End', anything(end))))),
		header.sensitive === true ? el('p', 'note', 'Environments or memory are in the ' +
			'evidence: treat it as you treat passwords.') : null,
	].filter(Boolean);
}

/* What of processes could not be read stands beside what of the system could not. */
function unreadRows() {
	const rows = [...ofType('unread')];
	for (const kept of ofType('process'))
		for (const item of withoutCut(kept.unread).items)
			rows.push({ ...object(item), index: kept.index, pid: kept.pid, of: kept });
	return rows;
}

function addSocketSections() {
	const sockets = ofType('socket');
	const internet = sockets.filter(socket => /^(tcp|udp|icmp|raw)/.test(socket.protocol));
	const listens = socket => socket.state === 'LISTEN' || (socket.state === undefined &&
		!number(object(socket.remote).port)) || (/^udp/.test(socket.protocol) &&
		!number(object(socket.remote).port));
	addTable('connections', 'Connections', internet.filter(socket => !listens(socket)),
		true, socketColumns, socketFilters);
	addTable('listening', 'Listening', internet.filter(listens), true, socketColumns,
		socketFilters);
	addTable('local-sockets', 'Local and raw link sockets',
		sockets.filter(socket => !internet.includes(socket)), false, [
			textColumn('Protocol', 'protocol'), textColumn('Kind', 'kind'),
			textColumn('Path', 'path'), textColumn('State', 'state'),
			textColumn('Ethertype', 'ethertype'),
			{ name: 'Process', cell: ownersCell,
				sort: row => number(object(list(row.owners)[0]).pid) },
			textColumn('Inode', 'inode', 'number'),
			textColumn('Namespace', 'netns', 'number'), wholeColumn('Socket')],
		socketFilters.slice(0, 2));
}

function addKernelSections() {
	addTable('modules', 'Modules', ofType('module'), false, [
		textColumn('Name', 'name'), listColumn('Seen by', 'views'),
		textColumn('State', 'state'), textColumn('Taint', 'taint'),
		textColumn('Size', 'size', 'number'), listColumn('Used by', 'used_by'),
		textColumn('Address', 'address'), wholeColumn('Module')]);
	addSection('kernel', 'Kernel and hooks', ofType('kernel').length, false, () => {
		const element = el('div', '', ...ofType('kernel').map(record => {
			const { type, index, ...rest } = record;
			return anything(rest);
		}));
		return { element, draw: hits => ofType('kernel').filter(record =>
			!hits || hits[record.index]).length };
	});
	addTable('bpf', 'BPF', ofType('bpf'), false, [
		textColumn('Kind', 'kind'), textColumn('Id', 'id', 'number'),
		textColumn('Type', 'program_type'), textColumn('Name', 'name'),
		timeColumn('Loaded', 'loaded'), textColumn('User', 'uid', 'number'),
		textColumn('Attached', 'attach'),
		{ name: 'Held by', cell: row => el('span', '', ...list(row.owners).slice(0, 8)
			.flatMap((owner, i) => [i ? ', ' : '', processOf(owner)])),
		sort: row => number(object(list(row.owners)[0]).pid) }, wholeColumn('BPF')]);
}

function addOtherSections() {
	addTable('units', 'What starts by itself', ofType('unit'), false, [
		textColumn('Kind', 'kind'), textColumn('Path', 'path'),
		listColumn('Lines', 'lines'), textColumn('Enabled', 'enabled'),
		timeColumn('Written', 'mtime')], [{ label: 'kind', value: row => plain(row.kind) }]);
	addTable('sessions', 'Sessions', ofType('session'), false, [
		textColumn('User', 'user'), textColumn('Line', 'line'), textColumn('From', 'host'),
		textColumn('Address', 'address'), timeColumn('Since', 'time'),
		{ name: 'Process', cell: row => number(row.pid) || '' }, textColumn('Source', 'source')]);
	addTable('namespaces', 'Network namespaces', ofType('namespace'), false, [
		textColumn('Inode', 'inode', 'number'), textColumn('Processes', 'pids', 'number'),
		listColumn('Interfaces', 'interfaces'), wholeColumn('Network namespace')]);
	addTable('mounts', 'Mounts', ofType('mount'), false, [
		textColumn('Point', 'point'), textColumn('Source', 'source'),
		textColumn('File system', 'filesystem'), textColumn('Root', 'root'),
		textColumn('Options', 'options'), textColumn('Namespace', 'mntns', 'number')],
	[{ label: 'file system', value: row => plain(row.filesystem) },
		{ label: 'namespace', value: row => plain(row.mntns) }]);
	addTable('files', 'Files', ofType('file'), false, [
		textColumn('Path', 'path'), listColumn('Role', 'roles'),
		{ name: 'Deleted', cell: row => row.deleted === true ? 'deleted' : '' },
		textColumn('Size', 'size', 'number'), textColumn('Mode', 'mode'),
		textColumn('User', 'uid', 'number'), timeColumn('Written', 'mtime'),
		timeColumn('Changed', 'ctime'), textColumn('SHA-256', 'sha256', 'hash'),
		listColumn('Processes', 'pids'), wholeColumn('File')]);
	addTable('recovered', 'Recovered', ofType('recovered'), true, [
		{ name: 'Process', cell: processOf, sort: row => number(row.pid) },
		textColumn('What', 'what'), textColumn('Path', 'path'),
		{ name: 'Size', className: 'number', cell: row => bytesText(number(row.size)),
			sort: row => number(row.size) },
		textColumn('Stored as', 'stored'), textColumn('SHA-256', 'sha256', 'hash'),
		textColumn('Whole', 'complete'), textColumn('Error', 'error'),
		wholeColumn('Recovered file')]);
	addTable('unread', 'Not read', unreadRows(), false, [
		textColumn('What', 'what'), textColumn('Reason', 'reason'),
		textColumn('Error', 'errno'),
		textColumn('Capability', 'capability'),
		{ name: 'Process', cell: row => row.of ? processOf(row.of) : number(row.pid) || '',
			sort: row => number(row.pid) }],
	[{ label: 'reason', value: row => plain(row.reason) }]);
	addTable('leads', 'Leads, which prove nothing by themselves', ofType('lead'), false, [
		textColumn('Kind', 'kind'), textColumn('What', 'text'), wholeColumn('Lead')]);
	/* Of a later version of the schema: shown, not dropped. */
	const known = new Set(['header', 'end', 'process', 'socket', 'module', 'kernel', 'bpf',
		'unit', 'session', 'namespace', 'mount', 'file', 'recovered', 'unread', 'finding',
		'lead']);
	addTable('others', 'Other records',
		[...byType].filter(([type]) => !known.has(type)).flatMap(([, rows]) => rows), false,
		[textColumn('Type', 'type'), wholeColumn('Record')]);
}

function runSearch() {
	const query = document.getElementById('search').value.trim();
	/* One letter is in everything. */
	found = search(query.length > 1 ? query : '');
	const hits = found ? found.reduce((sum, hit) => sum + hit, 0) : 0;
	document.getElementById('hits').textContent = found
		? `${hits} of ${places.length} records` : '';
	sections.forEach(drawSection);
}

function start() {
	document.title = `triage ${plain(header.hostname)} ${timeText(header.time)}`;
	document.getElementById('summary').append(...summary());
	addSection('findings', 'Findings', ofType('finding').length, true, findingsSection);
	addSection('processes', 'Processes', processes.size, true, () => new Tree());
	addSocketSections();
	addKernelSections();
	addOtherSections();

	const input = document.getElementById('search');
	let timer = 0;
	input.addEventListener('input', () => {
		clearTimeout(timer);
		timer = setTimeout(runSearch, 150);
	});
	document.addEventListener('keydown', event => {
		const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.nodeName);
		if (event.key === 'Escape' && !pane.hidden)
			closePane();
		else if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
			event.preventDefault();
			input.focus();
		}
	});
	document.body.classList.add('ready');
}

start();
