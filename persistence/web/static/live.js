// The page reads itself again every few seconds and takes over what has changed, in place: what
// somebody is reading stays where it is. Without this script the pages work all the same.
'use strict';

(() => {
	const main = document.querySelector('main');
	const status = document.getElementById('status');
	const pause = document.getElementById('pause');
	const shortest = 2000, longest = 30000;

	// update makes an element like another one of a page read later.
	function update(old, now) {
		if (old.nodeType === Node.TEXT_NODE) {
			if (old.data !== now.data) old.data = now.data;
			return;
		}
		if (old.nodeType !== Node.ELEMENT_NODE || old.hasAttribute('data-keep')) return;
		attributes(old, now);
		const how = old.getAttribute('data-rows');
		if (how) {
			rows(old, now, how);
			return;
		}
		const a = old.childNodes, b = now.childNodes;
		if (alike(a, b)) {
			for (let i = 0; i < a.length; i++) update(a[i], b[i]);
		} else if (!old.contains(document.activeElement)) {
			old.replaceChildren(...[...b].map((n) => document.importNode(n, true)));
		}
	}

	function alike(a, b) {
		if (a.length !== b.length) return false;
		for (let i = 0; i < a.length; i++) if (a[i].nodeName !== b[i].nodeName) return false;
		return true;
	}

	// attributes takes over attributes, but for what the reader has changed.
	function attributes(old, now) {
		for (const a of [...now.attributes]) {
			if (a.name !== 'open' && a.name !== 'hidden' && old.getAttribute(a.name) !== a.value) old.setAttribute(a.name, a.value);
		}
		for (const a of [...old.attributes]) {
			if (a.name !== 'open' && a.name !== 'hidden' && !now.hasAttribute(a.name)) old.removeAttribute(a.name);
		}
	}

	// rows updates those children that both have, by their keys. Where a list may grow, new ones come
	// at its end; where it is held, a note says that there are others. A picture is updated if it has
	// the same shapes.
	function rows(old, now, how) {
		if (how === 'picture') {
			if (shape(old) === shape(now)) repaint(old, now);
			else changed();
			return;
		}
		const fresh = new Map();
		for (const n of now.children) fresh.set(n.dataset.key, n);
		let others = false;
		for (const row of [...old.children]) {
			const next = fresh.get(row.dataset.key);
			fresh.delete(row.dataset.key);
			if (next) {
				const before = row.textContent;
				row.classList.remove('gone', 'fresh');
				update(row, next);
				if (row.textContent !== before && row.nodeName === 'TR') {
					void row.offsetWidth;
					row.classList.add('fresh');
				}
			} else if (how === 'hold') {
				row.classList.add('gone');
				others = true;
			} else if (!row.contains(document.activeElement)) {
				row.remove();
			}
		}
		if (how === 'hold') {
			if (others || fresh.size > 0) changed();
		} else {
			for (const n of fresh.values()) old.append(document.importNode(n, true));
		}
	}

	// shape tells one picture from another but for its texts, colours and places.
	function shape(element) {
		return [...element.querySelectorAll('svg *')].map((n) => n.nodeName + ' ' + (n.id || (n.nodeName === 'title' && n.textContent))).join();
	}

	// repaint takes over texts and colours of a picture: its nodes stay where they are.
	function repaint(old, now) {
		const a = old.querySelectorAll('svg *'), b = now.querySelectorAll('svg *');
		for (let i = 0; i < a.length; i++) {
			for (const name of ['class', 'href']) {
				const value = b[i].getAttribute(name);
				if (value !== null && value !== a[i].getAttribute(name)) a[i].setAttribute(name, value);
			}
			if (a[i].nodeName === 'text' && a[i].textContent !== b[i].textContent) a[i].textContent = b[i].textContent;
		}
	}

	function changed() {
		const note = document.querySelector('[data-changed]');
		if (note) note.hidden = false;
	}

	function say(text, bad) {
		if (status.textContent !== text) status.textContent = text;
		status.classList.toggle('bad', Boolean(bad));
	}

	async function read(address) {
		const answer = await fetch(address, { headers: { Accept: 'text/html' }, cache: 'no-store' });
		const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
		if (!answer.ok) {
			const problem = page.getElementById('problem');
			const error = new Error((problem && problem.querySelector('h1').textContent) || 'HTTP ' + answer.status);
			error.answered = true;
			throw error;
		}
		return page;
	}

	// load fills in what takes longer than the page itself.
	async function load() {
		for (const place of document.querySelectorAll('[data-load]')) {
			try {
				const found = (await read(place.dataset.load)).getElementById('count');
				if (found) place.textContent = found.textContent;
			} catch (error) {
				if (!error.answered) throw error;
			}
		}
	}

	let timer = 0, failures = 0, reads = 0, paused = false, running = false, lost = '';

	function later(ms) {
		clearTimeout(timer);
		timer = 0;
		if (!paused && !document.hidden) timer = setTimeout(refresh, ms);
	}

	async function refresh() {
		if (running) return;
		running = true;
		const begin = performance.now();
		try {
			const page = await read(location.href);
			if (!paused) {
				const now = page.querySelector('main');
				if (now) update(main, now);
				const at = document.querySelector('[data-live-text]'), then = page.querySelector('[data-live-text]');
				if (at && then) update(at, then);
				if (++reads % 5 === 0) await load();
				say('');
			}
			failures = 0;
			lost = '';
			// A page that costs much is asked for less often.
			later(Math.max(shortest, Math.min(longest, 10 * (performance.now() - begin))));
		} catch (error) {
			const wait = Math.min(longest, shortest * 2 ** failures++);
			lost = lost || new Date().toLocaleTimeString();
			say((error.answered ? error.message : 'The server does not answer') + ' (since ' + lost + '): tried again in ' + wait / 1000 + ' s', true);
			later(wait);
		} finally {
			running = false;
		}
	}

	// A picture that is larger than its place begins with the record that it is about.
	const centre = document.querySelector('.picture .centre');
	if (centre && !location.hash) {
		const picture = centre.closest('.picture'), place = picture.getBoundingClientRect(), at = centre.getBoundingClientRect();
		picture.scrollLeft += at.left + at.width / 2 - place.left - place.width / 2;
		picture.scrollTop += at.top + at.height / 2 - place.top - place.height / 2;
	}

	load().catch(() => {});
	if (!main || !main.hasAttribute('data-live')) return;
	if (pause) {
		pause.hidden = false;
		pause.addEventListener('click', () => {
			paused = !paused;
			pause.textContent = paused ? 'Go on' : 'Pause';
			say(paused ? 'Paused' : '');
			later(0);
		});
	}
	document.addEventListener('visibilitychange', () => later(0));
	later(shortest);
})();
