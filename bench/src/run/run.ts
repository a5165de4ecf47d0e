/** One run: the chosen systems on one kind of brokers, all of it into one result. */
import { spawnSync } from 'node:child_process'
import { findPackageJSON } from 'node:module'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { openKafka, TransportError, type Transport } from '@milena/request-reply'
import { SetupError } from '../../../tools/kafka/setup-error.ts'
import { brokerKinds, givenBrokers, type Brokers } from '../brokers/brokers.ts'
import { contains, type BenchOptions } from '../options.ts'
import type { RunResult, SituationResult } from '../results.ts'
import { situations } from '../situations/index.ts'
import { usualSetting } from '../system.ts'
import { baseline } from '../systems/index.ts'
import { climb, type LadderResult, type Tell } from './ladder.ts'
import { control, lineUp, type Lineup } from './lineup.ts'
import type { Stage } from './pair.ts'
import { listeners } from '@milena/hosting'

type LeftOut = { readonly name: string; readonly why: string }

/** `interrupted` rejects when the run is to end early; what is open is closed either way. */
export async function runOn(
  on: string,
  options: BenchOptions,
  interrupted: Promise<never>,
  tell: Tell,
): Promise<RunResult> {
  const at = new Date().toISOString()
  const brokers = await (brokerKinds[on]?.() ?? givenBrokers(on))
  tell(`on ${brokers.name} (${brokers.durability})`)
  try {
    const transport = await reach(brokers)
    const ports = brokers.addresses.map((address) => Number(address.split(':').at(-1)))
    const stage: Stage = {
      brokers,
      transport,
      processes: new Set([process.pid, ...listeners(ports)]),
      pairs: new Set(),
      warmUp: options.quick ? 300 : 3_000,
      longestWarmUp: options.quick ? 3_000 : Infinity,
      repeats: options.repeats,
    }
    try {
      const measured = await Promise.race([measure(stage, options, tell), interrupted])
      return { at, trial: options.trial, ...facts(brokers, options, measured.lineup), ...measured.result }
    } finally {
      await Promise.allSettled([...stage.pairs].map((pair) => pair.close()))
      await transport.close()
    }
  } finally {
    await brokers.close()
  }
}

/** @throws SetupError when the brokers that were named are not there */
async function reach({ addresses }: Brokers): Promise<Transport> {
  try {
    return await openKafka({ brokers: addresses })
  } catch (error) {
    if (!(error instanceof TransportError) || error.code !== 'MILENA_BROKER_UNREACHABLE') throw error
    throw new SetupError(error.message, { cause: error })
  }
}

interface Measured {
  readonly lineup: Lineup
  readonly result: Pick<RunResult, 'closed' | 'open' | 'situations' | 'leftOut' | 'systems'>
}

async function measure(stage: Stage, options: BenchOptions, tell: Tell): Promise<Measured> {
  const leftOut: LeftOut[] = []
  let ladder: LadderResult = { closed: [], open: [], failed: [] }
  let lineup: Lineup = { runners: [], serverVersions: [], leftOut: [] }
  if (options.parts.has('closed')) {
    const { systems } = options
    lineup = await lineUp(
      stage,
      ({ name }) => systems.length === 0 || systems.some((text) => contains(name, text)),
      options.beside,
    )
    ladder = await climb(lineup.runners, ladderPlan(options), tell)
    await Promise.all(lineup.runners.map(({ pair }) => pair.close()))
  }
  const results: SituationResult[] = []
  for (const situation of situations.filter(({ name }) => options.parts.has(name))) {
    const unfit = situation.unfit?.(stage)
    if (unfit !== undefined) {
      leftOut.push({ name: situation.name, why: unfit })
      continue
    }
    tell(situation.title)
    try {
      const result = await situation.run(stage, options.closedMilliseconds)
      results.push({ name: situation.name, title: situation.title, ...result })
    } catch (error) {
      // One that fails is named, and costs the others nothing.
      leftOut.push({ name: situation.name, why: (error as Error).message })
    }
  }
  return {
    lineup,
    result: {
      systems: lineup.runners.map(({ name, pair }) => ({ name, durability: pair.system.durability })),
      leftOut: [...lineup.leftOut, ...ladder.failed, ...leftOut],
      closed: ladder.closed,
      open: ladder.open,
      situations: results,
    },
  }
}

function ladderPlan(options: BenchOptions): Parameters<typeof climb>[1] {
  const { quick, parts, rounds, closedMilliseconds, openMilliseconds, seed } = options
  const shares = quick ? [0.5] : [0.25, 0.5, 0.75, 0.9]
  return {
    rounds,
    inFlights: quick ? [1, 64] : [1, 64, 256],
    shares: parts.has('open') ? shares : [],
    closedMilliseconds,
    openMilliseconds,
    seed,
  }
}

function facts(
  brokers: Brokers,
  options: BenchOptions,
  lineup: Lineup,
): Pick<RunResult, 'brokers' | 'machine' | 'versions' | 'configuration' | 'baseline' | 'control'> {
  const { rounds, closedMilliseconds, openMilliseconds, repeats, seed } = options
  const processors = cpus()
  const packages = ['@milena/request-reply', '@platformatic/kafka', 'amqplib', '@nats-io/transport-node']
  return {
    brokers: { name: brokers.name, durability: brokers.durability },
    machine: {
      processor: processors[0]?.model ?? 'unknown',
      cores: processors.length,
      'memory GiB': Math.round(totalmem() / 2 ** 30),
      system: `${process.platform} ${release()}`,
    },
    versions: {
      Node: process.version,
      Milena: commit(),
      ...Object.fromEntries(packages.map((name) => [name, versionOf(name)])),
      ...(lineup.serverVersions.length === 0 ? {} : { servers: lineup.serverVersions.join(', ') }),
    },
    configuration: { ...usualSetting, rounds, closedMilliseconds, openMilliseconds, repeats, seed },
    baseline: baseline.name,
    control,
  }
}

/** What is measured changes more often than its version. */
function commit(): string {
  const { status, stdout } = spawnSync('git', ['describe', '--always', '--dirty', '--exclude=*'], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  })
  return status === 0 ? stdout.trim() : 'of an unknown commit'
}

function versionOf(name: string): string {
  const path = findPackageJSON(name, import.meta.url)
  return path === undefined
    ? 'unknown'
    : (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}
