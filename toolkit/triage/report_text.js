'use strict';
/*
 * The report's script. Everything it shows was written by whoever ran programs on the
 * host, the attacker among them: it becomes text nodes and nothing else. No markup is
 * ever made of strings, no address of a record is ever followed.
 *
 * This part: elements, and texts with what is in them made visible.
 */

/* An element: el('td', 'number', 5, otherElement). Strings and numbers become text. */
function el(name, className, ...children) {
	const element = document.createElement(name);
	if (className)
		element.className = className;
	element.append(...children.filter(child => child !== null && child !== undefined)
		.map(child => child instanceof Node ? child : String(child)));
	return element;
}

function button(label, className, onclick) {
	const element = el('button', className, label);
	element.type = 'button';
	element.addEventListener('click', onclick);
	return element;
}

/* A record may come from anywhere: whatever a member is, it is taken as what it should
 * be or as nothing. */
const list = value => Array.isArray(value) ? value : [];
const object = value =>
	value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {};
const string = value => typeof value === 'string' ? value : '';
const number = value => typeof value === 'number' ? value : 0;
const isText = value => typeof value === 'string' ||
	typeof object(value).base64 === 'string' || typeof object(value).text === 'string';

/*
 * Control characters, what has no form of its own, what turns the direction of writing,
 * halves of pairs: the same as text.c. Shown as escapes.
 */
const UNSEEN = new RegExp('[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f' +
	'\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f' +
	'\\u3164\\ud800-\\udfff\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb' +
	'\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]', 'gu');

function escapeOf(character) {
	const point = character.codePointAt(0);
	if (point < 0x80)
		return '\\x' + point.toString(16).padStart(2, '0');
	if (point < 0x10000)
		return '\\u' + point.toString(16).padStart(4, '0');
	return '\\U' + point.toString(16).padStart(8, '0');
}

/* A string as pieces [text, isEscape]. */
function piecesOfString(text) {
	const pieces = [];
	let from = 0;
	for (const match of text.matchAll(UNSEEN)) {
		if (match.index > from)
			pieces.push([text.slice(from, match.index), false]);
		pieces.push([escapeOf(match[0]), true]);
		from = match.index + match[0].length;
	}
	if (from < text.length)
		pieces.push([text.slice(from), false]);
	return pieces;
}

/* The length of a well-formed UTF-8 sequence at `at`; 0 when there is none. */
function sequenceLength(bytes, at) {
	const first = bytes[at];
	const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 :
		first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
	if (length < 2)
		return length;
	try {
		new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
			.decode(bytes.subarray(at, at + length));
		return at + length <= bytes.length ? length : 0;
	} catch {
		return 0;
	}
}

/* Bytes as pieces: what is UTF-8 as text, every other byte as \xHH. */
function piecesOfBytes(bytes) {
	const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
	const pieces = [];
	let good = 0;
	const flush = end => {
		if (end > good)
			pieces.push(...piecesOfString(decoder.decode(bytes.subarray(good, end))));
	};
	for (let at = 0; at < bytes.length;) {
		const length = sequenceLength(bytes, at);
		if (length) {
			at += length;
			continue;
		}
		flush(at);
		pieces.push(['\\x' + bytes[at].toString(16).padStart(2, '0'), true]);
		good = ++at;
	}
	flush(bytes.length);
	return pieces;
}

/* A text of the schema as pieces, and how many of its bytes are not in the report. */
function piecesOf(value) {
	if (typeof value === 'string')
		return { pieces: piecesOfString(value), cut: 0 };
	if (typeof value === 'number' || typeof value === 'boolean')
		return { pieces: [[String(value), false]], cut: 0 };
	const { base64, text, cut_bytes: cut } = object(value);
	if (typeof text === 'string')
		return { pieces: piecesOfString(text), cut: number(cut) };
	if (typeof base64 !== 'string')
		return { pieces: [], cut: 0 };
	try {
		const bytes = Uint8Array.from(atob(base64), c => c.charCodeAt(0));
		return { pieces: piecesOfBytes(bytes), cut: number(cut) };
	} catch {
		return { pieces: [['not base64', true]], cut: 0 };
	}
}

/* What a text may take of the page before somebody asks for more of it. */
const SHOWN_MAX = 400;

function appendPieces(element, pieces, max) {
	let left = max;
	for (const [text, escaped] of pieces) {
		if (left <= 0)
			return;
		const part = escaped ? text : text.slice(0, left);
		element.append(escaped ? el('span', 'escape', part) : part);
		left -= part.length;
	}
}

/* As an element. <bdi>: letters written from right to left stay within it. */
function shown(value, className) {
	const element = el('bdi', className || 'text');
	const { pieces, cut } = piecesOf(value);
	const length = pieces.reduce((sum, piece) => sum + piece[0].length, 0);
	const note = cut ? el('span', 'note', ` … ${cut} more bytes in triage.jsonl`) : '';
	if (length <= SHOWN_MAX) {
		/* Modes, times, addresses: not to be broken for the sake of a narrow column. */
		element.classList.toggle('short', length <= 32);
		appendPieces(element, pieces, length);
		element.append(note);
		return element;
	}
	appendPieces(element, pieces, SHOWN_MAX / 2);
	element.append(' ', button(`… all ${length} characters`, 'link', event => {
		event.stopPropagation();
		element.replaceChildren();
		appendPieces(element, pieces, length);
		element.append(note);
	}));
	return element;
}

/* As a string, to sort and to search by. */
function plain(value) {
	return piecesOf(value).pieces.map(piece => piece[0]).join('');
}

const bytesText = count => {
	const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
	let unit = 0;
	for (; count >= 1024 && unit < units.length - 1; unit++)
		count /= 1024;
	return `${unit ? count.toFixed(1) : count} ${units[unit]}`;
};

/* "2026-11-22T03:50:00.123456789Z" without what nobody reads. */
const timeText = value => string(value).replace('T', ' ').replace(/\.\d+Z$/, 'Z');

const CAPABILITIES = ('chown dac_override dac_read_search fowner fsetid kill setgid ' +
	'setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ' +
	'ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin ' +
	'sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write ' +
	'audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend ' +
	'audit_read perfmon bpf checkpoint_restore').split(' ');

/* A mask of capabilities as names. */
function capabilityNames(hex) {
	if (!/^[0-9a-f]{1,16}$/.test(string(hex)))
		return '';
	const mask = BigInt('0x' + hex);
	const names = CAPABILITIES.filter((name, bit) => mask >> BigInt(bit) & 1n);
	if (names.length === CAPABILITIES.length)
		return 'all';
	return names.join(' ') || 'none';
}
