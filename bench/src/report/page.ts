/** docs/benchmarks.md and its pictures, from results alone: the same files make the same page. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Chart, RunResult } from '../results.ts'
import { summarize, type Summary } from './summary.ts'
import { barChart, lineChart } from './svg.ts'
import { figure, markdownTable, summaryRow } from './table.ts'
import { targetResults } from './targets.ts'

const page = fileURLToPath(new URL('../../../docs/benchmarks.md', import.meta.url))
/** What a person has to say of the figures; it stands on the page as it is. */
const notes = fileURLToPath(new URL('../../results/notes.md', import.meta.url))
const pictures = fileURLToPath(new URL('../../../docs/benchmarks/', import.meta.url))

/** Returns the names of what it wrote. */
export function writeReport(results: readonly RunResult[]): string[] {
  const drawn = new Map<string, string>()
  const said = existsSync(notes) ? readFileSync(notes, 'utf8').trim() : undefined
  const text = renderPage(results, drawn, said)
  rmSync(pictures, { recursive: true, force: true })
  mkdirSync(pictures, { recursive: true })
  for (const [name, svg] of drawn) writeFileSync(`${pictures}${name}`, svg)
  writeFileSync(page, text)
  return ['docs/benchmarks.md', ...[...drawn.keys()].map((name) => `docs/benchmarks/${name}`)]
}

/** The page's text, with `said` after the targets; pictures are put into `drawn` by their file names. */
export function renderPage(results: readonly RunResult[], drawn: Map<string, string>, said?: string): string {
  const sections = results.flatMap((result, index) => {
    // Parts of several runs on the same brokers stand under one heading, each with its own facts.
    const isNew = result.brokers.name !== results[index - 1]?.brokers.name
    return [...(isNew ? [`## ${result.brokers.name}`] : []), ...renderRun(result, drawn)]
  })
  const notes = said === undefined ? [] : [said]
  return `${[introduction, ...renderTargets(results), ...notes, ...sections].join('\n\n')}\n`
}

const introduction = `# Benchmarks

Written by \`npm run bench -- --report\` from \`bench/results\`; not by hand. \`npm run bench -- --help\` says how to measure.

Requester and replier run in processes of their own; blocks of all systems follow each other in random order. Closed loop: so many requests in flight. Open loop: a Poisson schedule at a share of each system's own knee (its best closed-loop rate), latency from the intended send (of the systems with a broker: a bare socket carries more than a generator can schedule). Only ratios within one run count, each the median of its blocks' ratios to the baseline's block of the same round, in brackets its bootstrap 95 % interval; nothing smaller than the interval of the A/A row is a difference. A quantile is quoted with at least 100 samples beyond it. A block in which other processes used more than 5 % of the machine, or the generator's own lag was over 5 % of the p99, was repeated, and is marked if that did not help.`

/** Trials say nothing about targets. */
function renderTargets(results: readonly RunResult[]): string[] {
  const rows = results
    .filter(({ trial }) => !trial)
    .flatMap((run) =>
      targetResults(run).map(({ target, figure, met }) => ({
        target,
        on: run.brokers.name,
        figure,
        met: met ? 'yes' : '**no**',
      })),
    )
  return rows.length === 0 ? [] : ['## Targets', markdownTable(rows)]
}

function renderRun(result: RunResult, drawn: Map<string, string>): string[] {
  const id = result.brokers.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  const draw = (name: string, title: string, svg: string): string => {
    const file = `${id}-${name}.svg`
    drawn.set(file, svg)
    return `![${title}](benchmarks/${file})`
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
    parts.push(`### Closed loop, ${inFlight} in flight`, markdownTable(summaries.map(summaryRow)))
  }
  const busiest = closed.at(-1)
  if (busiest !== undefined) {
    const title = `CPU per request at ${busiest.inFlight} in flight`
    parts.push(draw('cpu', title, cpuBars(title, busiest.summaries)))
  }
  for (const { share, summaries } of open) {
    parts.push(`### Open loop, ${share * 100} % of the knee`, markdownTable(summaries.map(summaryRow)))
  }
  if (open.length > 0) {
    for (const quantile of ['p50', 'p99'] as const) {
      const chart = latencyChart(
        quantile,
        open.flatMap(({ summaries }) => summaries),
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

function head(result: RunResult): string[] {
  const durabilities = Map.groupBy(result.systems, ({ durability }) => durability)
  return [
    ...(result.trial
      ? ['**A trial: a short run, or one on a busy machine. Its figures are no claim.**']
      : []),
    [
      `- ${result.at.slice(0, 16).replace('T', ' ')} UTC; ${list(result.machine)}`,
      `- ${list(result.versions)}`,
      `- ${result.brokers.durability}; ${list(result.configuration)}`,
      ...[...durabilities].map(
        ([name, systems]) => `- ${name}: ${systems.map((system) => system.name).join('; ')}`,
      ),
      ...(result.closed.length === 0
        ? []
        : [`- Ratios are to ${result.baseline}; A/A control: ${controlSpread(result)}`]),
      ...result.leftOut.map(({ name, why }) => `- Left out: ${name}: ${why.split('\n')[0]}`),
    ].join('\n'),
  ]
}

function list(facts: Readonly<Record<string, string | number>>): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

/** How far the second pair of the baseline lies from the first, over all closed levels. */
function controlSpread(result: RunResult): string {
  const ratios = result.closed.flatMap(({ measurements }) =>
    summarize(measurements, result)
      .filter(({ system }) => system === result.control)
      .map(({ ratios }) => ratios),
  )
  return (['perSecond', 'p50', 'p99', 'cpu'] as const)
    .map((name) => {
      const low = Math.min(...ratios.map((ratio) => ratio[name].low))
      const high = Math.max(...ratios.map((ratio) => ratio[name].high))
      return `${name === 'perSecond' ? 'requests/s' : name} ${figure(low)}–${figure(high)}`
    })
    .join(', ')
}

function cpuBars(title: string, summaries: readonly Summary[]): string {
  return barChart({
    title,
    unit: 'µs',
    parts: ['requester', 'replier', 'broker'],
    bars: summaries.map(({ system, cpuAsker, cpuAnswerer, cpuBroker }) => ({
      name: system,
      values: [cpuAsker, cpuAnswerer, cpuBroker],
    })),
  })
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
