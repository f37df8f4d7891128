// Draws the charts of a graphlab report and works its tables. All it reads is in the page.
const CHUNK = 200;
const NARROWEST = 100;
const KINDS = ['baseline', 'fused'];
const PREFIXED = ['FLOP', 'FLOP/s', 'FLOP/B', 'B/s'];
const DECIMAL = [[1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']];
const BINARY = [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']];
const TIME = [[1, 's'], [1e-3, 'ms'], [1e-6, 'us'], [1e-9, 'ns']];
const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const collator = new Intl.Collator('en', { numeric: true });
const narrow = matchMedia('(max-width: 600px)');

// printf's %.{digits}g, which is what the rows written by Python use.
function significant(value, digits) {
  const power = value ? Number(value.toExponential(digits - 1).split('e')[1]) : 0;
  if (power >= -4 && power < digits) return String(Number(value.toPrecision(digits)));
  const mantissa = Number(value.toExponential(digits - 1).split('e')[0]);
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

function scaled(value, scales, digits, unit, rest) {
  const found = scales.find(([scale]) => Number((Math.abs(value) / scale).toPrecision(4)) >= 1);
  return found ? `${significant(value / found[0], digits)} ${found[1]}${unit}` : rest();
}

function cellText(value, unit) {
  if (value === null) return '\u2013';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string') return value;
  if (unit === 's') return scaled(value, TIME, 4, '', () => value ? `${significant(value / 1e-9, 3)} ns` : '0 s');
  if (unit === 'B') return scaled(value, BINARY, 4, '', () => `${significant(value, 6)} B`);
  if (unit === 'share') return `${(100 * value).toFixed(1)} %`;
  if (PREFIXED.includes(unit)) return scaled(value, DECIMAL, 4, unit, () => `${significant(value, 4)} ${unit}`);
  const text = Number.isInteger(value) ? grouped.format(value) : significant(value, 4);
  return `${text} ${unit}`.trimEnd();
}

// currentColor follows the page's scheme and paper alike; exports come out black on white.
function chartConfig() {
  const ink = 'currentColor';
  const words = { labelColor: ink, titleColor: ink, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500 };
  // One entry a line and one legend under another: what does not fit beside the plot would be cut off.
  const stacked = { orient: 'bottom', columns: 1, labelLimit: 180, layout: { bottom: { direction: 'vertical' } } };
  const legend = narrow.matches ? stacked : { labelLimit: 260 };
  const row = narrow.matches ? { labelOrient: 'top', labelAnchor: 'start', labelLimit: 260, labelPadding: 2 } : {};
  return {
    background: 'white',
    font: 'system-ui, sans-serif',
    axis: {
      ...words,
      labelLimit: narrow.matches ? 140 : 260,
      tickColor: ink, domainColor: ink, gridColor: ink, tickOpacity: 0.4, domainOpacity: 0.4, gridOpacity: 0.1,
    },
    header: { ...words, labelLimit: 200 },
    headerRow: row,
    legend: { ...words, symbolStrokeWidth: 2, ...legend },
    title: { color: ink, fontWeight: 500 },
    text: { fill: ink },
    rule: { color: ink },
    mark: { tooltip: true, color: '#3f7fd1' },
    point: { size: 60 },
    view: { stroke: null },
    range: {
      category: ['#3f7fd1', '#e0762f', '#2b9a72', '#c9506f', '#8b72d6', '#b28a12', '#35a0b8', '#a0694b',
        '#d36ab3', '#7c8794', '#7fa03a', '#5b62c9', '#c2563a', '#4f8f8b'],
    },
  };
}

function panelColumns(state, box) {
  if (state.sizing === 'grid') {
    const channel = (state.chart.encoding ?? state.chart.facet).column;
    const place = state.columns.findIndex((column) => column.key === channel.field);
    return Math.max(1, new Set(state.rows.map((row) => row[place])).size);
  }
  if (state.sizing !== 'wrap') return 1;
  return Math.max(1, Math.min(state.chart.columns, Math.floor(box.clientWidth / (state.chart.spec.width + 60))));
}

// Panels beside each other: as many columns as the width holds, one under the other on a phone.
function arranged(state, box) {
  const chart = structuredClone(state.chart);
  if (chart.hconcat && narrow.matches) {
    chart.vconcat = chart.hconcat;
    delete chart.hconcat;
  }
  state.columnsDrawn = panelColumns(state, box);
  if (state.sizing === 'wrap') chart.columns = state.columnsDrawn;
  return chart;
}

async function drawChart(figure, state) {
  const box = figure.querySelector('.chart');
  if (!box) return;
  const values = state.rows.map((row) => Object.fromEntries(state.columns.map((column, i) => [column.key, row[i]])));
  const options = {
    mode: 'vega-lite', renderer: 'svg',
    config: chartConfig(),
    actions: { export: true, source: false, compiled: false, editor: false },
    downloadFileName: state.name,
  };
  try {
    state.drawn?.finalize();
    state.drawn = null;
    const chart = { ...arranged(state, box), data: { values } };
    state.drawn = await window.vegaEmbed(box, chart, options);
    if (state.sizing === 'side' && narrowed(figure, chart)) {
      state.drawn.finalize();
      state.drawn = await window.vegaEmbed(box, chart, options);
    }
    box.querySelector('svg.marks').parentElement.tabIndex = 0;
    await follow(figure, state);
  } catch (error) {
    box.textContent = `This chart could not be drawn: ${error.message}`;
    reportError(error);
  }
}

// Takes what views beside each other or one under another are too wide by from their widths; whether there was any.
function narrowed(figure, chart) {
  const svg = figure.querySelector('svg.marks');
  const views = chart.hconcat ?? chart.vconcat;
  const excess = svg ? svg.getBoundingClientRect().width - svg.parentElement.clientWidth : 0;
  if (excess <= 0) return false;
  const share = Math.ceil(excess / (chart.hconcat ? views.length : 1));
  for (const view of views) view.width = Math.max(NARROWEST, view.width - share);
  return true;
}

// The chart after a change of width or of the kind of attention.
async function follow(figure, state) {
  if (!state.drawn) return;
  const view = state.drawn.view;
  if (state.attention !== null) await view.signal('attention_shown', state.kind).runAsync();
  if (!['child', 'wrap', 'grid'].includes(state.sizing)) return;
  const svg = figure.querySelector('svg.marks');
  if (!svg) return;
  const slack = svg.parentElement.clientWidth - svg.getBoundingClientRect().width;
  const width = Math.max(NARROWEST, Math.floor(view.signal('child_width') + slack / state.columnsDrawn));
  await view.signal('child_width', width).resize().runAsync();
}

function selected(state) {
  const other = KINDS[1 - KINDS.indexOf(state.kind)];
  const kept = state.kind ? state.rows.filter((row) => row[state.attention] !== other) : state.rows;
  const write = (row) => row.map((value, i) => cellText(value, state.columns[i].unit)).join('\n').toLowerCase();
  if (state.words.length) state.texts ??= new Map(state.rows.map((row) => [row, write(row)]));
  const found = kept.filter((row) => state.words.every((word) => state.texts.get(row).includes(word)));
  if (state.sorted === null) return found;
  return found.sort((a, b) => compare(a[state.sorted], b[state.sorted], state.direction));
}

// Unknown values stay last whichever way the rest is sorted.
function compare(a, b, direction) {
  if (a === null || b === null) return (a === null) - (b === null);
  return direction * (typeof a === 'string' || typeof b === 'string' ? collator.compare(a, b) : a - b);
}

function drawTable(figure, state) {
  const rows = selected(state);
  const body = document.createDocumentFragment();
  for (const row of rows.slice(0, state.shown)) {
    const line = body.appendChild(document.createElement('tr'));
    row.forEach((value, i) => {
      const cell = line.appendChild(document.createElement('td'));
      cell.textContent = cellText(value, state.columns[i].unit);
      if (state.columns[i].number) cell.className = 'number';
    });
  }
  figure.querySelector('tbody').replaceChildren(body);
  const left = rows.length - Math.min(rows.length, state.shown);
  const more = figure.querySelector('.more');
  more.hidden = left === 0;
  more.textContent = `Show ${Math.min(CHUNK, left)} more rows`;
  const counts = [rows.length - left, state.rows.length].map((count) => grouped.format(count));
  figure.querySelector('.count').textContent = `${counts.join(' of ')} rows`;
  figure.querySelectorAll('th').forEach((heading, i) => {
    const way = state.direction > 0 ? 'ascending' : 'descending';
    heading.setAttribute('aria-sort', state.sorted === i ? way : 'none');
  });
}

function sortBy(state, index) {
  if (state.sorted !== index) Object.assign(state, { sorted: index, direction: 1 });
  else if (state.direction > 0) state.direction = -1;
  else state.sorted = null;
}

function download(state) {
  const quote = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const words = new Map([[null, ''], [true, 'True'], [false, 'False']]);
  const plain = (value) => words.get(value) ?? String(value);
  const lines = [state.columns.map((column) => column.key), ...selected(state)];
  const text = lines.map((line) => `${line.map((value) => quote(plain(value))).join(',')}\n`).join('');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  link.download = `${state.name}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function makeInteractive(figure, state) {
  const change = (values) => drawTable(figure, Object.assign(state, { shown: CHUNK }, values));
  figure.querySelectorAll('th').forEach((heading, i) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...heading.childNodes);
    button.addEventListener('click', () => { sortBy(state, i); change({}); });
    heading.append(button);
  });
  figure.querySelector('.tools input').addEventListener('input', (event) => {
    change({ words: event.target.value.toLowerCase().split(/\s+/).filter(Boolean) });
  });
  figure.querySelector('.csv').addEventListener('click', () => download(state));
  figure.querySelector('.more').addEventListener('click', () => change({ shown: state.shown + CHUNK }));
  figure.querySelector('.attention')?.addEventListener('change', (event) => {
    change({ kind: event.target.value });
    follow(figure, state);
  });
  figure.querySelectorAll('.tools, .attention').forEach((tools) => { tools.hidden = false; });
  drawTable(figure, state);
}

// Rows below a closed branch are away, whatever is open among them.
function drawTree(tree) {
  let closed = Infinity;
  let shown = 0;
  const rows = tree.querySelectorAll('tbody tr');
  for (const row of rows) {
    const level = Number(row.dataset.level);
    if (level <= closed) closed = Infinity;
    row.hidden = closed !== Infinity;
    shown += !row.hidden;
    if (!row.hidden && row.dataset.branch === 'closed') closed = level;
    row.querySelector('th button')?.setAttribute('aria-expanded', row.dataset.branch === 'open');
  }
  tree.querySelector('.count').textContent = `${grouped.format(shown)} of ${grouped.format(rows.length)} rows`;
}

function makeTree(tree) {
  const branches = [...tree.querySelectorAll('tbody tr[data-branch]')];
  for (const row of branches) {
    const button = document.createElement('button');
    button.type = 'button';
    const name = row.querySelector('th span');
    name.replaceWith(button);
    button.append(name);
    button.addEventListener('click', () => {
      row.dataset.branch = row.dataset.branch === 'open' ? 'closed' : 'open';
      drawTree(tree);
    });
  }
  const all = (state) => () => { branches.forEach((row) => { row.dataset.branch = state; }); drawTree(tree); };
  tree.querySelector('.open-all').addEventListener('click', all('open'));
  tree.querySelector('.close-all').addEventListener('click', all('closed'));
  tree.querySelector('.branches').hidden = !branches.length;
  drawTree(tree);
}

document.querySelectorAll('.tree').forEach(makeTree);

const figures = [...document.querySelectorAll('figure')].flatMap((figure) => {
  const data = document.getElementById(`${figure.id}-data`);
  if (!data) return [];
  const start = { kind: '', words: [], sorted: null, direction: 1, shown: CHUNK, drawn: null, columnsDrawn: 1 };
  return [[figure, { ...JSON.parse(data.textContent), ...start }]];
});

// One after another, so that the page answers in between and no chart is drawn twice at once.
let drawing = Promise.resolve();
function drawAll() {
  for (const [figure, state] of figures) drawing = drawing.then(() => drawChart(figure, state));
  drawing = drawing.then(() => { document.documentElement.dataset.drawn = 'yes'; });
}

figures.forEach(([figure, state]) => makeInteractive(figure, state));
narrow.addEventListener('change', drawAll);
addEventListener('resize', () => figures.forEach(([figure, state]) => {
  const box = figure.querySelector('.chart');
  if (!box || (state.sizing !== 'side' && panelColumns(state, box) === state.columnsDrawn)) follow(figure, state);
  else drawing = drawing.then(() => drawChart(figure, state));
}));
drawAll();

let closed = [];
addEventListener('beforeprint', () => {
  closed = [...document.querySelectorAll('details.data:not([open])')];
  closed.forEach((details) => { details.open = true; });
});
addEventListener('afterprint', () => closed.forEach((details) => { details.open = false; }));
