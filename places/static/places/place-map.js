/* The map on a place's page: a grid of meridians and parallels, the places around as dots, and the pin.
 *
 * Promises: asks this site alone, and for no tiles; the pin and the fields "latitude" and "longitude" say the
 * same, whichever was changed; nothing a place is called is taken for HTML. Where there are no fields, or the
 * page says that the place is not to be changed, the pin stays where it is.
 * On failure: without an answer there are no dots; without JavaScript the fields are there all the same.
 */
'use strict';

(() => {
    // Plate carrée: Mercator, which maps mostly come in, ends before the poles, where places may be.
    const CRS = L.CRS.EPSG4326;
    const STEPS = [90, 45, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4];
    const CLOSEST = 90; // pixels between two lines
    const NEAR = 13; // the zoom that shows a part of a city, and
    const FAR = 1; // most of the world
    const DECIMALS = 6; // a tenth of a metre
    const STRIDE = 10; // pixels that an arrow key moves the pin; 1 with Shift
    const PAUSE = 200; // milliseconds that the map has to be still before it asks for places
    const ARROWS = {ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0]};

    const wrapped = (longitude) => L.Util.wrapNum(longitude, [-180, 180]);

    /* Without the zeros and errors that come of turning the globe. */
    const short = (value) => String(Number(value.toFixed(DECIMALS)));

    function degrees(text, most) {
        const value = Number(text);
        return text.trim() !== '' && Math.abs(value) <= most ? value : null;
    }

    function position(latitude, longitude) {
        const [north, east] = [degrees(latitude, 90), degrees(longitude, 180)];
        return north === null || east === null ? null : L.latLng(north, east);
    }

    /* The same meridian, on the turn of the globe that the map shows. */
    function beside(map, latlng) {
        const turns = Math.round((map.getCenter().lng - latlng.lng) / 360);
        return L.latLng(latlng.lat, latlng.lng + 360 * turns);
    }

    function label(latlng, text, anchor) {
        const element = document.createElement('span');
        element.textContent = text;
        const icon = L.divIcon({className: 'place-map-label', html: element, iconSize: null, iconAnchor: anchor});
        return L.marker(latlng, {icon, interactive: false, keyboard: false});
    }

    function drawGrid(map, layer) {
        const bounds = map.getBounds();
        const [south, north] = [Math.max(bounds.getSouth(), -90), Math.min(bounds.getNorth(), 90)];
        const [west, east] = [bounds.getWest(), bounds.getEast()];
        const closest = CLOSEST * (east - west) / map.getSize().x;
        const step = STEPS.findLast((each) => each >= closest) || STEPS[0];
        const text = (value, letters) =>
            `${Math.abs(value).toFixed(Math.max(0, Math.ceil(-Math.log10(step))))}° ${letters[value < 0 ? 0 : 1]}`;
        const line = (...ends) =>
            L.polyline(ends, {className: 'place-map-line', weight: 1, interactive: false}).addTo(layer);
        layer.clearLayers();
        for (let index = Math.ceil(south / step); index * step <= north; index++) {
            line([index * step, west], [index * step, east]);
            label([index * step, west], text(index * step, 'SN'), [-4, 13]).addTo(layer);
        }
        for (let index = Math.ceil(west / step); index * step <= east; index++) {
            line([south, index * step], [north, index * step]);
            label([north, index * step], text(wrapped(index * step), 'WE'), [-4, -4]).addTo(layer);
        }
    }

    function drawDots(map, layer, places, own) {
        layer.clearLayers();
        for (const place of places.filter((each) => each.id !== own)) {
            const name = document.createElement('span');
            name.textContent = place.name;
            const options = {className: 'place-map-dot', radius: 5, weight: 1, fillOpacity: 0.8, bubblingMouseEvents: false};
            L.circleMarker(beside(map, L.latLng(place.latitude, place.longitude)), options)
                .bindTooltip(name)
                .on('click', () => window.open(place.url, '_blank', 'noopener'))
                .addTo(layer);
        }
    }

    /* Has the dots follow the map; of two answers the later question's counts. */
    function followWithDots(map, {neighbours, farthest, place}) {
        const layer = L.layerGroup().addTo(map);
        let waiting = 0;
        let asking = new AbortController();

        async function ask() {
            asking.abort();
            asking = new AbortController();
            const center = map.getCenter();
            const reach = map.distance(center, map.getBounds().getNorthWest());
            const query = new URLSearchParams({
                latitude: Math.min(90, Math.max(-90, center.lat)),
                longitude: wrapped(center.lng),
                radius: Math.min(Number(farthest), Math.max(1, reach)),
            });
            try {
                const answer = await fetch(`${neighbours}?${query}`, {signal: asking.signal, redirect: 'error'});
                drawDots(map, layer, answer.ok ? (await answer.json()).places : [], place);
            } catch (error) {
                if (error.name !== 'AbortError') {
                    layer.clearLayers();
                }
            }
        }

        map.on('moveend', () => {
            window.clearTimeout(waiting);
            waiting = window.setTimeout(ask, PAUSE);
        });
        ask();
    }

    function pinOf(map, latlng, {icon, retina, shadow}, movable) {
        const image = L.icon({
            iconUrl: icon,
            iconRetinaUrl: retina,
            shadowUrl: shadow,
            iconSize: [25, 41],
            iconAnchor: [12, 41],
            shadowSize: [41, 41],
        });
        return L.marker(latlng, {
            icon: image,
            draggable: movable,
            interactive: movable,
            keyboard: movable,
            autoPanOnFocus: false,
            alt: movable ? 'The pin: arrow keys move it' : 'The pin',
        }).addTo(map);
    }

    function start(container) {
        const given = container.dataset;
        const inputs = ['id_latitude', 'id_longitude'].map((id) => document.getElementById(id));
        const movable = 'movable' in given && inputs.every(Boolean);
        const typed = () => position(inputs[0].value, inputs[1].value);
        const first = movable ? typed() : position(given.latitude, given.longitude);
        const map = L.map(container, {
            crs: CRS,
            attributionControl: false,
            maxBounds: [[-90, -540], [90, 540]],
            maxZoom: 19,
            zoomControl: false, // it would cover the names of the parallels
        });
        map.setView(first || [0, 0], first ? NEAR : FAR);
        L.control.zoom({position: 'topright'}).addTo(map);
        L.control.scale({imperial: false, position: 'bottomright'}).addTo(map);
        const grid = L.layerGroup().addTo(map);
        map.on('moveend resize', () => drawGrid(map, grid));
        drawGrid(map, grid);
        let pin = first && pinOf(map, first, given, movable);
        if (given.neighbours) {
            followWithDots(map, given);
        }
        if (!movable) {
            return;
        }

        function show(latlng) {
            if (pin) {
                pin.setLatLng(latlng);
                return;
            }
            pin = pinOf(map, latlng, given, true);
            listen();
        }

        function write() {
            const {lat, lng} = pin.getLatLng();
            inputs[0].value = short(Math.min(90, Math.max(-90, lat)));
            inputs[1].value = short(wrapped(lng));
        }

        function put(latlng) {
            show(L.latLng(Math.min(90, Math.max(-90, latlng.lat)), latlng.lng));
            write();
        }

        function listen() {
            pin.on('drag dragend', write);
            L.DomEvent.on(pin.getElement(), 'keydown', (event) => {
                const arrow = ARROWS[event.key];
                if (arrow) {
                    L.DomEvent.stop(event);
                    const offset = L.point(arrow).multiplyBy(event.shiftKey ? 1 : STRIDE);
                    put(map.containerPointToLatLng(map.latLngToContainerPoint(pin.getLatLng()).add(offset)));
                    map.panInside(pin.getLatLng(), {padding: [40, 40]});
                }
            });
        }

        if (pin) {
            listen();
        }
        map.on('click', (event) => put(event.latlng));
        L.DomEvent.on(container, 'keydown', (event) => {
            if (event.key === 'Enter' && event.target === container) {
                L.DomEvent.stop(event);
                put(map.getCenter());
            }
        });
        for (const input of inputs) {
            input.addEventListener('input', () => {
                const latlng = typed();
                if (latlng) {
                    const there = beside(map, latlng);
                    show(there);
                    map.setView(there, Math.max(map.getZoom(), NEAR));
                }
            });
        }
    }

    document.addEventListener('DOMContentLoaded', () => document.querySelectorAll('.place-map').forEach(start));
})();
