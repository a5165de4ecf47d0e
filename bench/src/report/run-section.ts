/** What the page says of one run: its facts, its tables and its pictures. */
import type { Chart, RunResult } from '../results.ts'
import { systems } from '../systems/index.ts'
import type { Metric } from './ratio.ts'
import { summarize, type Summary } from './summary.ts'
import { barChart, lineChart } from './svg.ts'
import { costRow, figure, markdownTable, speedRow } from './table.ts'

/** Pictures are put into `drawn` by their file names. */
export function renderRun(result: RunResult, drawn: Map<string, string>): string[] {
  const draw = (name: string, title: string, svg: string): string => {
    drawn.set(pictureFile(result, name), svg)
    return image(result, name, title)
  }
  const closed = result.closed.map(({ inFlight, measurements }) => ({
    inFlight,
    summaries: summarize(measurements, result),
  }))
  const open = result.open.map(({ share, measurements }) => ({
    share,
    summaries: summarize(measurements, result),
  }))
  const parts = head(result)
  for (const { inFlight, summaries } of closed) {
    parts.push(`### Closed loop, ${inFlight} in flight`, ...levelTables(summaries))
  }
  const busiest = closed.at(-1)
  if (busiest !== undefined) {
    const title = `CPU per request at ${busiest.inFlight} in flight`
    parts.push(draw('cpu', title, cpuBars(title, busiest.summaries)))
  }
  for (const { share, summaries } of open) {
    parts.push(`### Open loop, ${share * 100} % of the knee`, ...levelTables(summaries))
  }
  if (open.length > 0) {
    for (const quantile of ['p50', 'p99'] as const) {
      const summaries = open.flatMap((level) => level.summaries)
      const chart = latencyChart(
        quantile,
        summaries.filter(({ system }) => system !== result.control),
      )
      parts.push(draw(`latency-${quantile}`, chart.title, lineChart(chart)))
    }
  }
  for (const { name, title, rows, chart } of result.situations) {
    parts.push(`### ${title}`, markdownTable(rows))
    if (chart !== undefined) parts.push(draw(name, chart.title, lineChart(chart)))
  }
  return parts
}

/** The file of a picture of these brokers. */
export function pictureFile(run: RunResult, name: string): string {
  return `${run.brokers.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}-${name}.svg`
}

/** A picture of the run, by the name that it was drawn under. */
export function image(run: RunResult, name: string, title: string): string {
  return `![${title}](benchmarks/${pictureFile(run, name)})`
}

/** Speed in sight, what it took behind a click: one table of both would be wider than a page. */
function levelTables(summaries: readonly Summary[]): string[] {
  return [
    markdownTable(summaries.map(speedRow)),
    '<details><summary>Processor time, memory, blocks</summary>',
    markdownTable(summaries.map(costRow)),
    '</details>',
  ]
}

function head(result: RunResult): string[] {
  const spreads = [
    `requests/s ${controlSpread(result, 'perSecond')}`,
    `p50 ${controlSpread(result, 'p50')}`,
    `p99 ${controlSpread(result, 'p99')}`,
    `CPU ${controlSpread(result, 'cpu')}`,
  ].join(', ')
  const durabilities = Map.groupBy(result.systems, (system) => durabilityOf(system, result))
  return [
    ...(result.trial
      ? ['**A trial: a short run, or one on a busy machine. Its figures are no claim.**']
      : []),
    [
      `- ${result.at.slice(0, 16).replace('T', ' ')} UTC; ${list(result.machine)}`,
      `- ${list(result.versions)}`,
      `- ${list(result.configuration)}`,
      ...[...durabilities].map(
        ([name, systems]) => `- ${name}: ${systems.map((system) => system.name).join('; ')}`,
      ),
      ...(result.closed.length === 0 ? [] : [`- Ratios are to ${result.baseline}; A/A control: ${spreads}`]),
      ...result.leftOut.map(({ name, why }) => `- Left out: ${name}: ${why.split('\n')[0]}`),
    ].join('\n'),
  ]
}

/** Of a system on the run's brokers it is theirs. */
function durabilityOf({ name, durability }: RunResult['systems'][number], run: RunResult): string {
  const onBrokers = name === run.control || systems.find((system) => system.name === name)?.server === 'kafka'
  return onBrokers ? run.brokers.durability : durability
}

function list(facts: Readonly<Record<string, string | number>>): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

/** How far the second pair of the baseline lies from the first, over all closed levels. */
export function controlSpread(result: RunResult, metric: Metric): string {
  const ratios = result.closed
    .flatMap(({ measurements }) => summarize(measurements, result))
    .filter(({ system, ratios }) => system === result.control && !Number.isNaN(ratios[metric].median))
    .map((summary) => summary.ratios[metric])
  const low = Math.min(...ratios.map((ratio) => ratio.low))
  const high = Math.max(...ratios.map((ratio) => ratio.high))
  return `${figure(low)}–${figure(high)}`
}

function cpuBars(title: string, summaries: readonly Summary[]): string {
  return barChart({
    title,
    unit: 'µs',
    parts: ['requester', 'replier', 'broker'],
    bars: summaries
      .toSorted((a, b) => cpuOf(a) - cpuOf(b))
      .map(({ system, cpuAsker, cpuAnswerer, cpuBroker }) => ({
        name: system,
        values: [cpuAsker, cpuAnswerer, cpuBroker],
      })),
  })
}

function cpuOf({ cpuAsker, cpuAnswerer, cpuBroker }: Summary): number {
  return cpuAsker + cpuAnswerer + (Number.isNaN(cpuBroker) ? 0 : cpuBroker)
}

function latencyChart(quantile: 'p50' | 'p99', summaries: readonly Summary[]): Chart {
  return {
    title: `Open loop: ${quantile} against rate`,
    x: 'requests/s',
    y: 'ms',
    logarithmic: true,
    lines: [...Map.groupBy(summaries, ({ system }) => system)].map(([name, points]) => ({
      name,
      points: points.map((point) => [point.rate!, point[quantile]] as const),
    })),
  }
}
