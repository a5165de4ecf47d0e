import { availableParallelism } from 'node:os'
import { buildNest } from '../../interop/src/nestjs.ts'
import { buildSmallRye } from '../../interop/src/smallrye.ts'
import { buildSpring } from '../../interop/src/spring.ts'
import { startKafka } from '../kafka/cluster.ts'
import { fetchKafkaJars } from '../kafka/jars.ts'
import { SetupError } from '../kafka/setup-error.ts'
import { checkArchitecture } from './architecture.ts'
import { runCommand } from './command.ts'
import { withTestDatabase } from './database.ts'
import type { Print } from './print.ts'
import type { Tally } from './tally.ts'
import type { TestLimits } from './test-file.ts'
import { findTestFiles, runTestFiles } from './test-run.ts'

export interface StepContext {
  root: string
  tally: Tally
  print: Print
  grep: string | undefined
  files: readonly string[]
  /** In CI nothing that Apache Kafka is needed for is skipped. */
  ci: boolean
  /** The cluster that the user named with KAFKA_BROKERS. */
  brokers: string | undefined
}

export interface Step {
  name: string
  title: string
  /** Whether it runs test files, so that `--grep` and `--files` mean something to it. */
  tests: boolean
  run: (context: StepContext) => Promise<void>
}

const second = 1_000
const minute = 60 * second
// They only bound what hangs, so they are for the busiest machine; what a test waits for gives up before, and says why.
const unitLimits: TestLimits = { test: 2 * minute, file: 10 * minute, leak: 30 * second }
const e2eLimits: TestLimits = { test: 5 * minute, file: 20 * minute, leak: 30 * second }
const faultLimits: TestLimits = { test: 10 * minute, file: 40 * minute, leak: 45 * second }

/** Test files at once. They wait for timers, sessions and other processes for more than half of their time. */
const atOnce = Math.min(2 * availableParallelism(), 8)
/** Likewise where each starts clusters of its own: what these wait for are sessions and elections, but a start takes a core. */
const clustersAtOnce = Math.min(availableParallelism(), 2)
/** Files that take long, for `TestRunOptions.longest`. */
const longest = [
  'e2e/systems.test',
  'e2e/transport-contract',
  'e2e/exchange.test',
  'e2e/payment-gateway',
  'e2e/coupons',
  'e2e/delivery',
  'e2e/replier',
  'e2e/routing',
  'e2e/gather',
  'e2e/journal',
  'e2e/hello',
  'e2e/examples',
  'faults/group',
  'faults/tail',
  'faults/sender',
  'faults/opening',
  'client-java',
  'kafka/group-joining',
  'request-reply/test/memory-transport',
  'flat-memory',
  'postgres/test/outbox',
  'kafka/tail.test',
  'groups-wire',
  'idempotency-claims',
]

const unitTests = ['packages/*/test/**/*.test.ts', 'systems/*/test/**/*.test.ts', 'bench/test/**/*.test.ts']
const e2eTests = ['test/e2e/**/*.test.ts']

export const steps: readonly Step[] = [
  command('format', 'format (oxfmt)', [['oxfmt', '--check', '.']]),
  command('lint', 'lint (oxlint, with types)', [['oxlint', '--type-aware']]),
  command('types', 'types (tsc)', [
    ['tsc', '-p', 'tsconfig.json'],
    // What is published must have types that can be written down file by file. (Built, since one refers to the other.)
    ['tsc', '-b', 'packages/embedded-kafka', 'packages/postgres', 'packages/redis'],
  ]),
  { name: 'architecture', title: 'architecture (direction of imports)', tests: false, run: architecture },
  tests(
    'unit',
    'unit tests',
    [...unitTests, 'tools/test/*.test.ts', 'tools/check/test/*.test.ts', 'test/support/*.test.ts'],
    unitLimits,
  ),
  tests('packages', 'packages, packed and installed', ['test/packages/**/*.test.ts'], e2eLimits),
  tests('simulation', 'simulation', ['test/simulation/**/*.test.ts'], e2eLimits),
  { name: 'e2e', title: 'end-to-end on the embedded broker', tests: true, run: endToEnd },
  { name: 'kafka', title: 'end-to-end on Apache Kafka', tests: true, run: endToEndOnKafka },
  { name: 'interop', title: 'other clients, on Apache Kafka', tests: true, run: interop },
  { name: 'faults', title: 'faults, on Apache Kafka', tests: true, run: faults },
]

function command(name: string, title: string, commands: readonly (readonly string[])[]): Step {
  const run = async ({ root, tally, print }: StepContext): Promise<void> => {
    for (const each of commands) {
      if (await runCommand(root, each, print)) continue
      tally.fail(`${name}: ${each.join(' ')}`)
      return
    }
    tally.pass()
  }
  return { name, title, tests: false, run }
}

function tests(name: string, title: string, patterns: readonly string[], limits: TestLimits): Step {
  // Nobody's cluster: what these tests need they start themselves.
  const env = { KAFKA_BROKERS: undefined }
  return {
    name,
    title,
    tests: true,
    run: async (context) => {
      const files = findTestFiles(context.root, patterns, context.files)
      await withTestDatabase(context.root, files, (database) =>
        runTestFiles({
          ...context,
          patterns,
          limits,
          env: { ...env, ...database },
          concurrency: atOnce,
          longest,
        }),
      )
    },
  }
}

async function architecture({ root, tally, print }: StepContext): Promise<void> {
  const { files, violations } = checkArchitecture(root)
  for (const violation of violations) print(`  ✗ ${violation}`)
  if (violations.length === 0) print(`  ✓ ${files} files`)
  if (violations.length === 0) tally.pass()
  for (const violation of violations) tally.fail(`architecture: ${violation}`)
}

async function endToEnd(context: StepContext): Promise<void> {
  const { brokers, print } = context
  if (brokers !== undefined) print(`  on ${brokers} (KAFKA_BROKERS) instead of the embedded broker`)
  await runEndToEnd(context, { KAFKA_BROKERS: brokers })
}

async function runEndToEnd(
  context: StepContext,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const files = findTestFiles(context.root, e2eTests, context.files)
  await withTestDatabase(context.root, files, (database) =>
    runTestFiles({
      ...context,
      patterns: e2eTests,
      limits: e2eLimits,
      env: { ...env, ...database },
      concurrency: atOnce,
      longest,
    }),
  )
}

async function endToEndOnKafka(context: StepContext): Promise<void> {
  if (context.brokers !== undefined) {
    return skip(
      context,
      'end-to-end on Apache Kafka',
      `the step before ran on ${context.brokers} (KAFKA_BROKERS)`,
    )
  }
  if (!(await canRun(context, 'end-to-end on Apache Kafka', fetchKafkaJars))) return
  const patterns = ['tools/kafka/test/*.test.ts']
  await runTestFiles({
    ...context,
    patterns,
    limits: faultLimits,
    env: { KAFKA_BROKERS: undefined },
    concurrency: clustersAtOnce,
  })
  if (findTestFiles(context.root, e2eTests, context.files).length === 0) return
  const cluster = await startKafka({ brokers: 3 })
  try {
    context.print(`  three brokers: ${cluster.brokers.join(', ')}`)
    await runEndToEnd(context, { KAFKA_BROKERS: cluster.brokers.join(',') })
  } finally {
    await cluster.close()
  }
}

async function interop(context: StepContext): Promise<void> {
  const patterns = ['test/interop/**/*.test.ts']
  // So that nothing is built when only other tests are wanted.
  if (findTestFiles(context.root, patterns, context.files).length === 0) return
  if (!(await canRun(context, 'other clients', buildOtherClients))) return
  // One for all of them: no test stops a broker.
  const cluster = await startKafka({ brokers: 1 })
  try {
    const env = { KAFKA_BROKERS: cluster.brokers.join(',') }
    await runTestFiles({ ...context, patterns, limits: faultLimits, env, concurrency: clustersAtOnce })
  } finally {
    await cluster.close()
  }
}

async function buildOtherClients(): Promise<void> {
  await fetchKafkaJars()
  await Promise.all([buildSpring(), buildNest(), buildSmallRye()])
}

async function faults(context: StepContext): Promise<void> {
  if (!(await canRun(context, 'faults', fetchKafkaJars))) return
  const patterns = ['test/faults/**/*.test.ts']
  const env = { KAFKA_BROKERS: undefined }
  await runTestFiles({ ...context, patterns, limits: faultLimits, env, concurrency: clustersAtOnce, longest })
}

/** Whether what Java and Maven are needed for can be had here. When not, that is a failure in CI and a skip elsewhere. */
async function canRun(context: StepContext, what: string, prepare: () => Promise<unknown>): Promise<boolean> {
  try {
    await prepare()
    return true
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    if (!context.ci) skip(context, what, error.message)
    else {
      context.print(`  ✗ ${error.message}`)
      context.tally.fail(`${what}: ${error.message}`)
    }
    return false
  }
}

function skip({ print, tally }: StepContext, what: string, reason: string): void {
  print(`  skipped: ${what}: ${reason}`)
  tally.skip()
}
