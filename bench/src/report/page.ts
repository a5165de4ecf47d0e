/** docs/benchmarks.md and its pictures, from results alone: the same files make the same page. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { RunResult, TargetResult } from '../results.ts'
import { inShort } from './in-short.ts'
import { controlSpread, image, pictureFile, renderRun } from './run-section.ts'
import { markdownTable, type Row } from './table.ts'
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
  const claims = results.filter(({ trial }) => !trial)
  const parts = [
    title,
    ...renderInShort(claims, drawn),
    ...renderTargets(claims),
    ...(said === undefined ? [] : [said]),
    method,
    ...sections,
  ]
  return `${parts.join('\n\n')}\n`
}

const title = `# Benchmarks

Written by \`npm run bench -- --report\` from \`bench/results\`; not by hand. \`npm run bench -- --help\` says how to measure.`

const method = `## How it is measured

Requester and replier run in processes of their own; blocks of all systems follow each other in random order. Closed loop: so many requests in flight. Open loop: a Poisson schedule at a share of each system's own knee (its best closed-loop rate), latency from the intended send (of the systems with a broker: a bare socket carries more than a generator can schedule).

Only ratios (×) within one run count, each the median of its blocks' ratios to the baseline's block of the same round, in brackets its bootstrap 95 % interval; of three rounds that is no more than the lowest and the highest, which have the true median between them three times of four, of five rounds 15 times of 16. The A/A row is a second pair of the baseline: nothing smaller than its interval is a difference. A quantile is quoted with at least 100 samples beyond it in all blocks together, else there is a dash.

A block is marked in which other processes used more than 5 % of the machine, or the generator was later than 5 % of the p99, and repeated as often as the run's \`repeats\` says; how late is in the tables of the open loop, a dash where a program does not say.`

/** With those pictures of the first kind of brokers that its section has drawn. */
function renderInShort(runs: readonly RunResult[], drawn: ReadonlyMap<string, string>): string[] {
  const ladders = runs.filter(({ closed }) => closed.length > 0)
  const [first] = ladders
  if (first === undefined) return []
  const spreads = ladders.map((run) => `${controlSpread(run, 'perSecond')} (${run.brokers.name})`)
  const pictures = mainPictures.filter(({ name }) => drawn.has(pictureFile(first, name)))
  return [
    '## In short',
    `Medians on this machine, ${first.configuration['payloadBytes'] ?? '?'} B there and back. One and the same client, run as two pairs, has this many times its own requests/s: ${spreads.join(', ')}; figures that are closer are alike. The pictures are of ${first.brokers.name}.`,
    inShort(ladders),
    ...pictures.map(({ name, title }) => image(first, name, title)),
  ]
}

const mainPictures = [
  { name: 'latency-p50', title: 'Latency against rate, p50' },
  { name: 'latency-p99', title: 'Latency against rate, p99' },
  { name: 'cpu', title: 'CPU per request' },
  { name: 'requesters', title: 'Reply bytes read for each own byte, per routing' },
]

/** A row for each target, a column for each kind of brokers. */
function renderTargets(runs: readonly RunResult[]): string[] {
  const results = runs.flatMap((run) =>
    targetResults(run).map((result) => ({ result, target: result.target, on: run.brokers.name })),
  )
  if (results.length === 0) return []
  const kinds = [...new Set(results.map(({ on }) => on))]
  const rows = [...Map.groupBy(results, ({ target }) => target)].map(([target, ofTarget]): Row => {
    const cells = kinds.map((kind) => [kind, verdict(ofTarget.find(({ on }) => on === kind)?.result)])
    return Object.fromEntries([['target', target], ...cells])
  })
  const known = results.filter(({ result }) => result.met !== undefined)
  const reached = known.filter(({ result }) => result.met)
  const count = `${reached.length} of ${known.length} figures reach their target.`
  return ['## Targets', count, markdownTable(rows)]
}

function verdict(result: TargetResult | undefined): string {
  if (result === undefined) return '–'
  if (result.met === undefined) return result.figure
  return result.met ? `✓ ${result.figure}` : `**missed: ${result.figure}**`
}
