/* Tables that can be sorted, narrowed by the search, and drawn a page at a time. */

const PAGE_ROWS = 100;
const collator = new Intl.Collator('en', { numeric: true });

const compare = (a, b) => typeof a === 'number' && typeof b === 'number'
	? a - b : collator.compare(String(a), String(b));

/*
 * A table of rows, which have `index`, the number of their record. A column has a name,
 * cell(row) for what stands in it (an element, a text, a number) and, where that is no
 * string or number, sort(row). Drawn by draw(found), found being what search() returned.
 */
class Table {
	constructor({ columns, rows, label, empty, keep }) {
		this.columns = columns;
		this.rows = rows;
		this.empty = empty || 'None.';
		this.keep = keep || (() => true); /* a filter beside the search */
		this.sorted = null;
		this.up = true;
		this.limit = PAGE_ROWS;
		this.found = null;
		this.heads = columns.map((column, at) => this.head(column, at));
		this.body = el('tbody');
		this.more = el('p', 'more');
		const table = el('table', '', el('thead', '', el('tr', '', ...this.heads)),
			this.body);
		table.setAttribute('aria-label', label);
		this.element = el('div', 'table', table, this.more);
	}

	head(column, at) {
		const head = el('th', column.className || '',
			button(column.name, 'sort', () => this.sortBy(at)));
		head.scope = 'col';
		return head;
	}

	sortBy(at) {
		this.up = this.sorted === at ? !this.up : true;
		this.sorted = at;
		const { sort, cell } = this.columns[at];
		const key = sort || cell;
		const keyed = this.rows.map(row => [key(row) ?? '', row]);
		keyed.sort((a, b) => this.up ? compare(a[0], b[0]) : compare(b[0], a[0]));
		this.rows = keyed.map(pair => pair[1]);
		this.heads.forEach((head, i) => {
			if (i === at)
				head.setAttribute('aria-sort', this.up ? 'ascending' : 'descending');
			else
				head.removeAttribute('aria-sort');
		});
		this.draw(this.found);
	}

	draw(found) {
		this.found = found;
		const rows = this.rows.filter(row =>
			(!found || found[row.index]) && this.keep(row));
		this.count = rows.length;
		this.body.replaceChildren(...rows.slice(0, this.limit).map(row => this.line(row)));
		this.more.replaceChildren();
		if (!rows.length)
			this.more.append(found ? 'Nothing of this is found.' : this.empty);
		if (rows.length <= this.limit)
			return rows.length;
		this.more.append(`${this.limit} of ${rows.length} are shown. `,
			button('Show more', 'action', () => this.raise(this.limit * 4)), ' ',
			button('Show all', 'action', () => this.raise(Infinity)));
		return rows.length;
	}

	raise(limit) {
		this.limit = limit;
		this.draw(this.found);
	}

	line(row) {
		return el('tr', '', ...this.columns.map(({ cell, className }) => {
			const content = cell(row);
			return el('td', className || '', content);
		}));
	}
}

/*
 * Any value of a record, so that nothing of it is hidden because nobody foresaw it: texts
 * shown, lists of the like as tables, objects as names and values.
 */
function anything(value) {
	if (value === null || value === undefined)
		return el('span', 'note', 'none');
	if (isText(value) || typeof value !== 'object')
		return shown(value);
	if (Array.isArray(value))
		return anyList(value);
	const entries = Object.entries(value).filter(([key]) => key !== 'index');
	if (!entries.length)
		return el('span', 'note', 'none');
	return el('dl', '', ...entries.flatMap(([key, item]) =>
		[el('dt', '', shown(key, 'name')), el('dd', '', anything(item))]));
}

/* What report_copy.c left out of a list stands at its end. */
function withoutCut(items) {
	const last = object(items[items.length - 1]);
	const cut = number(last.cut_items);
	return cut ? { items: items.slice(0, -1), cut } : { items, cut };
}

const cutNote = cut => cut
	? el('p', 'note', `${cut} more in triage.jsonl`) : null;

function anyList(value) {
	const { items, cut } = withoutCut(value);
	if (!items.length)
		return el('span', 'note', 'none');
	if (items.every(item => isText(item) || item === null || typeof item !== 'object')) {
		if (items.every(item => typeof item !== 'object' && String(item).length < 24))
			return el('span', '', ...items.flatMap((item, i) =>
				i ? [', ', shown(item)] : [shown(item)]), cutNote(cut));
		return el('div', '', el('ol', 'texts', ...items.map(item =>
			el('li', '', shown(item)))), cutNote(cut));
	}
	if (items.some(item => Array.isArray(item)))
		return el('div', '', el('ol', '', ...items.map(item =>
			el('li', '', anything(item)))), cutNote(cut));
	const names = [...new Set(items.flatMap(item => Object.keys(object(item))))]
		.slice(0, 32);
	return el('div', 'table', el('table', '',
		el('thead', '', el('tr', '', ...names.map(name =>
			el('th', '', shown(name, 'name'))))),
		el('tbody', '', ...items.map(item => el('tr', '', ...names.map(name =>
			el('td', '', object(item)[name] === undefined
				? '' : anything(object(item)[name]))))))),
	cutNote(cut));
}
