import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderPage } from '../src/report/page.ts'
import { baseline } from '../src/systems/index.ts'
import { newestParts, type MeasuredBlock, type RunResult, type TargetResult } from '../src/results.ts'

function block(perSecond: number, marks: MeasuredBlock['marks'] = []): MeasuredBlock {
  const latency = { count: 20_000, p50: 1, p90: 2, p99: 3, p999: 4, max: 5 }
  return {
    seconds: 2,
    asked: 20_000,
    answered: 20_000,
    perSecond,
    timeouts: 0,
    rejected: 0,
    errors: 0,
    latency,
    cpu: { asker: 200, answerer: 400 },
    memory: { asker: 80, answerer: 90 },
    marks,
    discarded: 0,
  }
}

const result: RunResult = {
  at: '2026-01-02T03:04:05.000Z',
  trial: false,
  brokers: { name: 'a broker', durability: 'RF 1' },
  machine: { cores: 2 },
  versions: { Node: 'v24' },
  configuration: { rounds: 2 },
  systems: [{ name: 'base', durability: 'durable' }],
  baseline: 'base',
  control: 'base again',
  leftOut: [{ name: 'peer', why: 'no server' }],
  closed: [
    {
      inFlight: 64,
      measurements: [
        { system: 'base', blocks: [block(1_000), block(2_000)] },
        { system: 'other', blocks: [block(1_500), block(3_000, ['machine busy'])] },
      ],
    },
  ],
  open: [{ share: 0.5, measurements: [{ system: 'base', rate: 750, blocks: [block(750)] }] }],
  situations: [
    {
      name: 'requesters',
      title: 'Requesters',
      rows: [{ requesters: 1, ratio: 1 }],
      chart: {
        title: 'Egress',
        x: 'n',
        y: 'bytes',
        logarithmic: true,
        lines: [
          {
            name: 'one',
            points: [
              [1, 1],
              [50, 6],
            ],
          },
        ],
      },
    },
  ],
}

test('a ratio is the median of the ratios of each round, not the ratio of the medians', () => {
  const text = renderPage([result], new Map())
  assert.match(text, /\| other \|.*\| 1\.50 \(1\.50–1\.50\) \|/)
})

function ladderOf(perSecond: number, ownPerSecond: number): RunResult['closed'] {
  const measurements = [
    { system: baseline.name, blocks: [block(perSecond)] },
    { system: 'Milena replyPartition, bytes', blocks: [block(ownPerSecond)] },
  ]
  return [{ inFlight: 64, measurements }]
}

test('targets have a figure and a verdict, of the ladder and of situations; a trial has none', () => {
  const shown = { target: 'nothing lost', figure: '3 lost', met: false }
  const run = { ...result, situations: [{ ...result.situations[0]!, targets: [shown] }] }
  const name = `requests/s at 64 in flight, Milena replyPartition, bytes to ${baseline.name}: ≥ 0.9`
  const text = renderPage([{ ...run, closed: ladderOf(1_000, 900) }], new Map(), 'What to say of it.')
  assert.ok(text.includes(`| ${name} | ✓ 0.9 (0.9–0.9) |`), text)
  assert.ok(text.includes('| nothing lost | **missed: 3 lost** |'))
  assert.match(text, /What to say of it\./)
  const missed = renderPage([{ ...run, closed: ladderOf(1_000, 899) }], new Map())
  assert.ok(missed.includes(`| ${name} | **missed: 0.899 (0.899–0.899)** |`))
  assert.doesNotMatch(renderPage([{ ...run, trial: true }], new Map()), /## Targets/)
})

function shown(figure: string, met?: boolean): TargetResult {
  return { target: 'none lost', figure, ...(met === undefined ? {} : { met }) }
}

function runOn(name: string, ...targets: TargetResult[]): RunResult {
  const brokers = { name, durability: 'RF 1' }
  return { ...result, brokers, closed: [], situations: [{ ...result.situations[0]!, targets }] }
}

test('a target has a row, kinds of brokers are columns, and what is not known is neither reached nor missed', () => {
  const runs = [
    runOn('one', shown('0', true)),
    runOn('two', shown('5', false)),
    runOn('three', shown('few')),
    runOn('four'),
  ]
  const text = renderPage(runs, new Map())
  assert.match(text, /\| target \| one \| two \| three \|\n/)
  assert.ok(text.includes('| none lost | ✓ 0 | **missed: 5** | few |'), text)
  assert.match(text, /1 of 2 figures reach their target/)
})

test('a p99 of too few samples is no figure of a target, and no ratio in a table', () => {
  const few = { ...block(1_000), latency: { ...block(1_000).latency, count: 9_999 } }
  const measurements = [
    { system: baseline.name, blocks: [few] },
    { system: 'Milena replyPartition, bytes', blocks: [block(1_000)] },
  ]
  const run = { ...result, baseline: baseline.name, closed: [{ inFlight: 1, measurements }] }
  const text = renderPage([run], new Map())
  assert.match(text, /\| p99 at 1 in flight, [^|]* ≤ 1\.2 \| too few samples \|/)
  assert.match(text, /\| p50 at 1 in flight, [^|]* ≤ 1\.05 \| ✓ 1 \(1–1\) \|/)
  assert.match(text, /\| Milena replyPartition, bytes \|.*\| 1\.00 \(1\.00–1\.00\) \| – \|\n/)
})

test('first of all comes a line for each system but the control, the fastest first, others than durable ones last', () => {
  const measurements = [
    { system: 'base', blocks: [block(1_000)] },
    { system: 'no copy', blocks: [block(9_000)] },
    { system: 'fast', blocks: [block(2_000)] },
    { system: 'base again', blocks: [block(3_000)] },
  ]
  const durable = ['base', 'fast', 'base again'].map((name) => ({ name, durability: 'durable' }))
  const systems = [{ name: 'no copy', durability: 'not durable' }, ...durable]
  const text = renderPage([{ ...result, systems, closed: [{ inFlight: 64, measurements }] }], new Map())
  const [short] = text.split('\n![')
  const rows = short!
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1)
  assert.deepEqual(rows, [
    '| fast | 2 000 | – |',
    '| base | 1 000 | – |',
    '| no copy (not durable) | 9 000 | – |',
  ])
})

test('marked blocks, systems left out and trials are told', () => {
  const text = renderPage([{ ...result, trial: true }], new Map())
  assert.match(text, /\| other \|.*\| 2 \| 1 \| 0 \|/)
  assert.match(text, /Left out: peer: no server/)
  assert.match(text, /A trial/)
})

test('a quantile with too few samples beyond it, and processor time that is not known, are dashes', () => {
  const text = renderPage([result], new Map())
  // 40 000 samples: enough for p99, too few for p99.9; the broker's processor time was not seen.
  assert.match(text, /\| base \| 1 500 \| 1 \| 2 \| 3 \| – \| 5 \| 0 \|/)
  assert.match(text, /\| base \| 10 \| 20 \| – \|/)
})

test('every picture of the page is drawn, and of finite numbers', () => {
  const drawn = new Map<string, string>()
  const text = renderPage([result], drawn)
  const named = [...text.matchAll(/\(benchmarks\/([^)]+)\)/g)].map(([, name]) => name!)
  assert.deepEqual([...new Set(named)].toSorted(), [...drawn.keys()].toSorted())
  assert.equal(drawn.size, 4)
  for (const svg of drawn.values()) assert.doesNotMatch(svg, /NaN|Infinity|undefined/)
})

test('the page has the newest of everything, and of a trial only what no other run has', () => {
  const situation = result.situations[0]!
  const runs: RunResult[] = [
    { ...result, at: '2026-01-01', situations: [{ ...situation, title: 'old' }] },
    { ...result, at: '2026-01-02', closed: [], open: [], situations: [{ ...situation, title: 'new' }] },
    { ...result, at: '2026-01-03', trial: true, situations: [{ ...situation, name: 'scaling' }] },
  ]
  assert.deepEqual(
    newestParts(runs).map(({ at, closed, situations }) => [
      at,
      closed.length,
      situations.map(({ title }) => title),
    ]),
    [
      ['2026-01-01', 1, []],
      ['2026-01-02', 0, ['new']],
      ['2026-01-03', 0, ['Requesters']],
    ],
  )
})
