/* The small charts of the scoreboard: one figure of each use case over the last hour.
 *
 * Promises: asks nobody; keeps an hour of what it is given and no more. What a chart shows is in its label as well,
 * for those who do not see it. Colours follow the admin's, light and dark, and change with them.
 * On failure: nothing that is missing is drawn: it is a gap.
 */
'use strict';

/* exported ScoreboardCharts */
const ScoreboardCharts = (() => {
    const HEIGHT = 130; // pixels
    const HOUR = 3600; // seconds
    const MARGIN = 60; // seconds, so that the last point is seen whole
    const FEW = 30; // samples, up to which each is a point: a line needs two

    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

    const written = (value, unit) =>
        value === null || value === undefined
            ? '-'
            : `${value.toLocaleString('en', {maximumFractionDigits: value < 100 ? 2 : 0})}${unit}`;

    /* What a chart says in words. */
    function label(name, figure, values) {
        const known = values.filter((value) => value !== null);
        if (!known.length) {
            return `${name}: ${figure.title} of the last hour: nothing was read`;
        }
        const [least, most] = [Math.min(...known), Math.max(...known)].map((value) => written(value, figure.unit));
        return `${name}: ${figure.title} of the last hour: from ${least} to ${most}, last ${written(known.at(-1), figure.unit)}`;
    }

    function range(figure) {
        return (chart, least, most) => {
            if (figure.unit === '%') {
                return [Math.min(Math.floor((least ?? 100) / 10) * 10, 90), 100];
            }
            return [0, most > 0 ? most * 1.1 : 1];
        };
    }

    function options(element, figure) {
        const axis = {stroke: colour('--body-quiet-color'), ticks: {show: false}, font: '11px sans-serif'};
        const line = colour('--link-fg');
        return {
            width: element.clientWidth,
            height: HEIGHT,
            legend: {show: false},
            cursor: {show: false},
            tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'UTC'),
            scales: {
                x: {time: true, range: (chart, first, last) => [last - HOUR, last + MARGIN]},
                y: {range: range(figure)},
            },
            axes: [
                {...axis, grid: {show: false}, size: 20, space: 60, values: '{HH}:{mm}'},
                {...axis, grid: {stroke: colour('--hairline-color'), width: 1}, size: 48, space: 28},
            ],
            series: [{}, {stroke: line, fill: `${line}22`, width: 1.5, points: {show: (chart, index, first, last) => last - first < FEW, size: 4, fill: line}}],
        };
    }

    class Charts {
        constructor(elements, figure) {
            this.elements = [...elements];
            this.figure = figure;
            this.ended = [];
            this.useCases = {};
            this.drawn = new Map();
            new MutationObserver(() => this.redraw()).observe(document.documentElement, {attributeFilter: ['data-theme']});
            matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.redraw());
            const resized = new ResizeObserver((entries) => {
                for (const {target} of entries) {
                    this.drawn.get(target)?.setSize({width: target.clientWidth, height: HEIGHT});
                }
            });
            this.elements.forEach((element) => resized.observe(element));
        }

        /* The end of what there is, in Unix seconds. */
        get since() {
            return this.ended.at(-1) ?? 0;
        }

        /* Take what came since, and forget what is older than an hour. */
        add({ended, use_cases: useCases}) {
            if (!ended.length) {
                return;
            }
            const all = [...this.ended, ...ended];
            const from = all.findIndex((at) => at > all.at(-1) - HOUR);
            for (const [id, figures] of Object.entries(useCases)) {
                const known = (this.useCases[id] ??= {});
                for (const [name, values] of Object.entries(figures)) {
                    const before = known[name] ?? Array(this.ended.length).fill(null);
                    known[name] = [...before, ...values].slice(from);
                }
            }
            this.ended = all.slice(from);
            this.update();
        }

        show(figure) {
            this.figure = figure;
            this.redraw();
        }

        redraw() {
            this.drawn.forEach((chart) => chart.destroy());
            this.drawn.clear();
            this.update();
        }

        update() {
            for (const element of this.elements) {
                const values = this.useCases[element.dataset.of]?.[this.figure.id] ?? [];
                const columns = [this.ended, values];
                const chart = this.drawn.get(element);
                if (chart) {
                    chart.setData(columns);
                } else if (values.length) {
                    this.drawn.set(element, new uPlot(options(element, this.figure), columns, element));
                }
                element.setAttribute('aria-label', label(element.dataset.name, this.figure, values));
                element.parentElement.querySelector('.scoreboard-last').textContent = written(values.at(-1), this.figure.unit);
            }
        }
    }

    return Charts;
})();
