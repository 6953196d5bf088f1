/* The chart on a dashboard's page: revenue and orders, by day, by hour, or by rank.
 *
 * Promises: asks nobody; the figures are those of the page, and of the table below it. It is as wide as the page,
 * and its colours follow the admin's, light and dark.
 * On failure: without JavaScript the table is there all the same.
 */
'use strict';

(() => {
    const HEIGHT = 320; // pixels
    const BAR = 0.7; // of the room between two

    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

    /* What stands below a bar: a word of its own, where there is room for each. */
    const words = (labels) => (chart, splits) => splits.map((at) => (Number.isInteger(at) ? labels[at] ?? '' : ''));

    function axes(data) {
        const common = {stroke: colour('--body-fg'), grid: {stroke: colour('--hairline-color')}};
        const below = {...common, ticks: {stroke: colour('--border-color')}};
        if (data.labels) {
            below.values = words(data.labels);
            below.rotate = data.labels.some((label) => label.length > 5) ? -50 : 0;
            below.size = below.rotate ? 110 : 40;
        }
        return [
            below,
            {...common, scale: 'money', size: 80},
            {...common, scale: 'orders', side: 1, size: 70, grid: {show: false}},
        ];
    }

    function series(data) {
        const bars = data.labels ? {paths: uPlot.paths.bars({size: [BAR]}), points: {show: false}} : {};
        const [money, orders] = [colour('--link-fg'), colour('--error-fg')];
        return [
            data.labels ? {label: data.what, value: (chart, at) => data.labels[at] ?? ''} : {label: data.what},
            {label: 'Revenue', scale: 'money', stroke: money, fill: data.labels ? money : undefined, ...bars},
            {label: 'Orders', scale: 'orders', stroke: orders, width: 1, dash: [4, 3]},
        ];
    }

    function draw(element) {
        const data = JSON.parse(document.getElementById(element.dataset.figures).textContent);
        const chart = new uPlot(
            {
                width: element.clientWidth - 20,
                height: HEIGHT,
                tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'UTC'),
                scales: {
                    x: data.labels ? {time: false, range: [-0.5, data.x.length - 0.5]} : {time: true},
                    money: {range: (chart, least, most) => [0, most > 0 ? most * 1.05 : 1]},
                    orders: {range: (chart, least, most) => [0, most > 0 ? most * 1.05 : 1]},
                },
                axes: axes(data),
                series: series(data),
            },
            [data.x, data.money, data.orders],
            element,
        );
        new ResizeObserver(() => chart.setSize({width: element.clientWidth - 20, height: HEIGHT})).observe(element);
        return chart;
    }

    function drawAll() {
        for (const element of document.querySelectorAll('.dashboard-chart')) {
            let chart = draw(element);
            matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
                chart.destroy();
                chart = draw(element);
            });
        }
    }

    document.addEventListener('DOMContentLoaded', drawAll);
})();
