/* The tree of processes, and the pane that shows one of them. */

const SEVERITIES = ['high', 'medium', 'low'];
const severityOf = finding =>
	SEVERITIES.includes(finding.severity) ? finding.severity : 'low';
const worst = findings => SEVERITIES.find(severity =>
	findings.some(finding => severityOf(finding) === severity)) || '';

/* A button that opens the pane of a process. */
function processLink(kept, label) {
	return button(label || String(kept.pid), 'link', () => openProcess(kept));
}

/* By a subject or owner of another record: a link where the process is known. */
function processOf(subject) {
	const { pid } = object(subject);
	const kept = processes.get(processKey(object(subject)));
	if (kept)
		return el('span', '', processLink(kept), ' ', shown(kept.comm));
	return pid === undefined ? '' : el('span', '', number(pid));
}

/*
 * The tree as a flat list of lines, as many as are on the page: a hundred thousand
 * processes are no more work than the two hundred that are looked at. Keys as in every
 * tree: up and down, right opens, left closes or goes to the parent, Enter shows.
 */
class Tree {
	constructor() {
		const all = ofType('process');
		this.roots = all.filter(kept => !kept.parent);
		this.closed = new Set();
		this.limit = PAGE_ROWS;
		this.found = null;
		this.onlyMarked = false;
		this.withKernel = false;
		this.focus = null;
		this.body = el('div', 'tree');
		this.body.setAttribute('role', 'tree');
		this.body.setAttribute('aria-label', 'Processes');
		this.body.addEventListener('keydown', event => this.key(event));
		this.more = el('p', 'more');
		const summary = el('p', 'filters',
			this.check('only with findings', value => this.onlyMarked = value),
			this.check('kernel threads too', value => this.withKernel = value),
			button('Open all', 'action', () => this.setAll(false)),
			button('Close all', 'action', () => this.setAll(true)));
		this.element = el('div', '', summary, this.body, this.more);
	}

	check(label, set) {
		const input = el('input');
		input.type = 'checkbox';
		input.addEventListener('change', () => {
			set(input.checked);
			this.draw(this.found);
		});
		return el('label', '', input, ' ', label);
	}

	setAll(closed) {
		this.closed = new Set(closed
			? ofType('process').filter(kept => kept.children.length) : []);
		this.draw(this.found);
	}

	/* Who is to be seen: who fits, and his ancestors. null: everybody. */
	wanted() {
		const fits = kept => (!this.found || this.found[kept.index]) &&
			(!this.onlyMarked || kept.findings.length) &&
			(this.withKernel || !kept.kernel || kept.findings.length || this.found);
		const wanted = new Set();
		this.hits = 0;
		for (const kept of ofType('process')) {
			if (!fits(kept))
				continue;
			this.hits++;
			for (let at = kept; at && !wanted.has(at); at = at.parent)
				wanted.add(at);
		}
		return wanted;
	}

	/* Without recursion: a chain of processes may be as long as there are pids. */
	lines(wanted) {
		const lines = [];
		const stack = this.roots.map(kept => [kept, 1]).reverse();
		while (stack.length) {
			const [kept, level] = stack.pop();
			if (!wanted.has(kept))
				continue;
			lines.push([kept, level]);
			if (this.closed.has(kept))
				continue;
			for (let i = kept.children.length - 1; i >= 0; i--)
				stack.push([kept.children[i], level + 1]);
		}
		return lines;
	}

	draw(found) {
		this.found = found;
		const wanted = this.wanted();
		const lines = this.lines(wanted);
		this.shownLines = lines.slice(0, this.limit);
		if (!this.shownLines.some(([kept]) => kept === this.focus))
			this.focus = lines.length ? lines[0][0] : null;
		this.body.replaceChildren(...this.shownLines.map(([kept, level]) =>
			this.line(kept, level, kept.children.some(child => wanted.has(child)))));
		this.more.replaceChildren();
		if (!lines.length)
			this.more.append('No process fits.');
		if (lines.length > this.limit)
			this.more.append(`${this.limit} of ${lines.length} lines are shown. `,
				button('Show more', 'action', () => {
					this.limit *= 4;
					this.draw(this.found);
				}));
		return this.hits;
	}

	line(kept, level, parent) {
		const closed = this.closed.has(kept);
		const line = el('div', 'line ' + worst(kept.findings),
			el('span', 'twist', parent ? closed ? '▸' : '▾' : ''),
			el('span', 'pid', kept.pid), ' ', shown(kept.comm, 'text comm'), ' ',
			...marks(kept), el('span', 'command', ...kept.command.flatMap(argument =>
				[shown(argument), ' ']), kept.more ? '…' : ''));
		line.style.setProperty('--level', Math.min(level, 40));
		line.setAttribute('role', 'treeitem');
		line.setAttribute('aria-level', level);
		if (parent)
			line.setAttribute('aria-expanded', !closed);
		line.tabIndex = kept === this.focus ? 0 : -1;
		line.addEventListener('click', event => {
			this.focus = kept;
			if (event.target.classList.contains('twist'))
				this.turn(kept);
			else
				openProcess(kept);
		});
		return line;
	}

	turn(kept) {
		if (!this.closed.delete(kept))
			this.closed.add(kept);
		this.draw(this.found);
		this.focusLine();
	}

	focusLine() {
		const at = this.shownLines.findIndex(([kept]) => kept === this.focus);
		if (at < 0)
			return;
		for (const line of this.body.children)
			line.tabIndex = -1;
		this.body.children[at].tabIndex = 0;
		this.body.children[at].focus();
	}

	key(event) {
		const at = this.shownLines.findIndex(([kept]) => kept === this.focus);
		const step = { ArrowDown: 1, ArrowUp: -1, Home: -at,
			End: this.shownLines.length - 1 - at }[event.key];
		if (at < 0)
			return;
		if (step !== undefined && this.shownLines[at + step])
			this.focus = this.shownLines[at + step][0];
		else if (event.key === 'ArrowRight' && this.closed.has(this.focus))
			this.turn(this.focus);
		else if (event.key === 'ArrowLeft' && this.focus.children.length &&
				!this.closed.has(this.focus))
			this.turn(this.focus);
		else if (event.key === 'ArrowLeft' && this.focus.parent)
			this.focus = this.focus.parent;
		else if (event.key === 'Enter')
			openProcess(this.focus);
		else
			return;
		event.preventDefault();
		if (event.key !== 'Enter')
			this.focusLine();
	}
}

/* Short words beside a name in the tree. */
function marks(kept) {
	const found = kept.findings.map(finding => el('span', 'mark ' + severityOf(finding),
		string(finding.kind).replaceAll('_', ' ') || '?'));
	if (kept.container)
		found.push(el('span', 'mark', 'container ', shown(kept.container.slice(0, 12))));
	if (!kept.coherent)
		found.push(el('span', 'mark', 'not coherent'));
	if (kept.unread.length)
		found.push(el('span', 'mark', `${kept.unread.length} unread`));
	return found;
}

const pane = document.getElementById('pane');
let paneOpener = null;

function closePane() {
	pane.hidden = true;
	document.body.classList.remove('with-pane');
	if (paneOpener && paneOpener.isConnected)
		paneOpener.focus();
}

/* The pane of any record, or of the parts of one. */
function openPane(title, ...parts) {
	const heading = el('h2', '', ...title);
	heading.tabIndex = -1;
	if (pane.hidden)
		paneOpener = document.activeElement;
	pane.replaceChildren(button('Close (Esc)', 'action close', closePane), heading,
		...parts);
	pane.hidden = false;
	document.body.classList.add('with-pane');
	pane.scrollTop = 0;
	heading.focus();
}

const part = (title, ...content) =>
	el('section', '', el('h3', '', title), ...content);

/* What is behind a button until it is asked for: environments hold secrets. */
function behind(label, make) {
	const place = el('div');
	place.append(button(label, 'action', () => place.replaceChildren(make())));
	return place;
}

function openProcess(kept) {
	const record = whole(kept.index);
	const { argv, environ, exe, fds, maps, sockets, unread, namespaces, container,
		capabilities, type, comm, pid, ...rest } = record;
	const owned = ofType('socket').filter(socket => list(socket.owners).some(owner =>
		processKey(object(owner)) === processKey(kept)));
	const { anonymous_exec: anonymous, files, ...mapped } = object(maps);
	const parts = [];

	if (kept.findings.length)
		parts.push(part('Findings', ...kept.findings.map(findingCard)));
	parts.push(part('Program', anything({ exe: exe ?? null, cwd: rest.cwd,
		root: rest.root })));
	parts.push(part(`Arguments (${list(argv).length})`, anyList(list(argv))));
	if (list(environ).length)
		parts.push(part('Environment (sensitive)', behind(
			`Show ${list(environ).length} variables`, () => anyList(environ))));
	parts.push(part('Descent', el('p', '', ...ancestry(kept))));
	if (container)
		parts.push(part('Container', anything(container)));
	parts.push(part('Identity', anything(rest)));
	if (capabilities)
		parts.push(part('Capabilities', anything(Object.fromEntries(
			Object.entries(object(capabilities)).map(([set, mask]) =>
				[set, `${string(mask)} (${capabilityNames(mask)})`])))));
	if (owned.length)
		parts.push(part('Sockets', anyList(owned.map(socket => ({
			protocol: socket.protocol, local: endText(socket, socket.local),
			remote: endText(socket, socket.remote), state: socket.state,
			inode: socket.inode, netns: socket.netns })))));
	else if (list(sockets).length)
		parts.push(part('Sockets', anyList(sockets)));
	parts.push(part(`Descriptors (${list(fds).length})`, anyList(list(fds))));
	if (list(anonymous).length)
		parts.push(part('Executable memory without a file', anyList(anonymous)));
	if (maps)
		parts.push(part('Mappings', anything(mapped), behind(
			`Show ${list(files).length} mapped files`, () => anyList(list(files)))));
	if (namespaces)
		parts.push(part('Namespaces', anything(namespaces)));
	if (list(unread).length)
		parts.push(part('What could not be read', anyList(unread)));
	openPane([`Process ${kept.pid} `, shown(comm)], ...parts);
}

function ancestry(kept) {
	const chain = [];
	for (let at = kept.parent; at && chain.length < 64; at = at.parent)
		chain.unshift(processLink(at, `${at.pid} ${plain(at.comm).slice(0, 40)}`), ' ▸ ');
	chain.push(el('strong', '', kept.pid, ' ', shown(kept.comm)));
	if (kept.children.length)
		chain.push(' ▸ ', ...kept.children.slice(0, 64).flatMap(child =>
			[processLink(child, `${child.pid} ${plain(child.comm).slice(0, 40)}`), ' ']));
	return chain;
}
