/* The scoreboard of the admin's home: asks every two seconds how things are, and writes what changed.
 *
 * Promises: asks only while the page is seen and not paused, one question at a time. A screen reader hears of what
 * is not as it should be, when that changes, and not of every figure.
 * On failure: the page says since when there has been no answer, and goes on asking; who is logged out is told so,
 * and asked no more.
 */
'use strict';

(() => {
    const EVERY = 2000; // milliseconds
    const AFTER_FAILURE = 5000;
    const PATIENCE = 10_000;

    const byId = (id) => document.getElementById(`scoreboard-${id}`);

    /* Written only where it differs: what is marked or read aloud stays as it is. */
    function write(element, text) {
        if (element.textContent !== text) {
            element.textContent = text;
        }
    }

    function writeCells(cells) {
        for (const [id, [text, level]] of Object.entries(cells)) {
            const cell = document.getElementById(id);
            if (cell) {
                write(cell, text);
                cell.dataset.level = level;
            }
        }
    }

    function writeNotices(notices) {
        const list = byId('notices');
        const lines = notices.length ? notices : ['All is well.'];
        if (lines.join('\n') !== [...list.children].map((line) => line.textContent).join('\n')) {
            list.replaceChildren(...lines.map((text) => Object.assign(document.createElement('li'), {textContent: text})));
        }
        list.dataset.level = notices.length ? 'warn' : 'good';
    }

    function writeTrouble(...parts) {
        const trouble = byId('trouble');
        trouble.replaceChildren(...parts);
        trouble.hidden = !parts.length;
    }

    function figureOf(input) {
        return {id: input.value, unit: input.dataset.unit, title: input.dataset.title};
    }

    class Poll {
        constructor(board, charts) {
            this.board = board;
            this.charts = charts;
            this.paused = false;
            this.over = false;
            this.failed = false;
            this.timer = null;
            this.asking = false;
        }

        get resting() {
            return this.paused || this.over || document.hidden;
        }

        /* Ask now, unless that is being done. */
        wake() {
            clearTimeout(this.timer);
            if (!this.resting && !this.asking) {
                this.ask();
            }
        }

        async ask() {
            this.asking = true;
            try {
                const url = `${this.board.dataset.url}?since=${this.charts.since}`;
                const response = await fetch(url, {
                    headers: {Accept: 'application/json'},
                    redirect: 'error',
                    signal: AbortSignal.timeout(PATIENCE),
                });
                if (response.status === 403) {
                    this.end();
                } else if (!response.ok) {
                    throw new Error(`status ${response.status}`);
                } else {
                    this.take(await response.json());
                }
            } catch (error) {
                this.fail(error);
            } finally {
                this.asking = false;
            }
            if (!this.resting) {
                this.timer = setTimeout(() => this.wake(), this.failed ? AFTER_FAILURE : EVERY);
            }
        }

        take({at, cells, notices, history}) {
            if (this.failed) {
                this.failed = false;
                writeTrouble();
            }
            write(byId('at'), at);
            writeCells(cells);
            writeNotices(notices);
            if (history) {
                this.charts.add(history);
            }
        }

        fail(error) {
            if (!this.failed) {
                this.failed = true;
                const last = byId('at').textContent;
                writeTrouble(`The site does not answer (${error.message}). These are the figures of ${last}; asking on.`);
            }
        }

        end() {
            this.over = true;
            const link = Object.assign(document.createElement('a'), {href: this.board.dataset.login, textContent: 'Log in'});
            link.href += `?next=${encodeURIComponent(location.pathname)}`;
            writeTrouble('You are logged out, or may not look at this any more. ', link, '.');
        }
    }

    function start() {
        const board = document.getElementById('scoreboard');
        const figures = [...board.querySelectorAll('[name="scoreboard-figure"]')];
        const charts = new ScoreboardCharts(
            board.querySelectorAll('.scoreboard-chart'),
            figureOf(figures.find((input) => input.checked)),
        );
        for (const input of figures) {
            input.addEventListener('change', () => charts.show(figureOf(input)));
        }
        const poll = new Poll(board, charts);
        const pause = byId('pause');
        pause.hidden = false;
        pause.addEventListener('click', () => {
            poll.paused = !poll.paused;
            pause.textContent = poll.paused ? 'Resume' : 'Pause';
            poll.wake();
        });
        document.addEventListener('visibilitychange', () => poll.wake());
        poll.wake();
    }

    document.addEventListener('DOMContentLoaded', start);
})();
