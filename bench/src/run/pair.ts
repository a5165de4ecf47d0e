import { randomBytes } from 'node:crypto'
import type { Transport } from '@milena/request-reply'
import type { Brokers } from '../brokers/brokers.ts'
import type { MeasuredBlock } from '../results.ts'
import type { BlockPlan } from '../side/protocol.ts'
import { usualSetting, type BenchSystem, type Setting, type Side, type SidePlan } from '../system.ts'
import { marksOf } from './marks.ts'
import { listeners } from '@milena/hosting'
import { SideProcess } from './side-process.ts'
import { watchUsage, type Parts } from './usage.ts'

/** What a run has open: where its systems run, and whose processor time is its own. */
export interface Stage {
  readonly brokers: Brokers
  /** For topics. */
  readonly transport: Transport
  /** Every process of the benchmark, servers included. */
  readonly processes: Set<number>
  /** Pairs that are open now; whoever ends early closes them. */
  readonly pairs: Set<Pair>
  /** Milliseconds of load before measuring, unless a system needs longer. */
  readonly warmUp: number
  /** Milliseconds; a system that needs more is left out. */
  readonly longestWarmUp: number
  /** How often a marked block is repeated at most. */
  readonly repeats: number
}

/** Both sides of one system, with topics of their own. */
export class Pair {
  readonly system: BenchSystem
  readonly asker: Side
  readonly answerer: Side
  readonly #stage: Stage
  readonly #topics: SidePlan['topics']
  #parts: Parts

  private constructor(
    stage: Stage,
    system: BenchSystem,
    topics: SidePlan['topics'],
    sides: { asker: Side; answerer: Side },
  ) {
    this.#stage = stage
    this.system = system
    this.#topics = topics
    this.asker = sides.asker
    this.answerer = sides.answerer
    this.#parts = {
      asker: [sides.asker.pid],
      answerer: [sides.answerer.pid],
      broker: serverPids(system, stage),
    }
    for (const pid of Object.values(this.#parts).flat()) stage.processes.add(pid)
    stage.pairs.add(this)
  }

  static async open(stage: Stage, system: BenchSystem, setting: Partial<Setting> = {}): Promise<Pair> {
    const all: Setting = { ...usualSetting, ...setting }
    const unique = randomBytes(4).toString('hex')
    const requests = `bench_${unique}`
    const topics = { requests, replies: `${requests}.reply` } // which is where NestJS wants its replies
    if (system.server === 'kafka') {
      const configs = { 'max.message.bytes': '4194304' }
      await stage.transport.createTopics([
        { name: topics.requests, partitions: all.partitions, configs },
        { name: topics.replies, partitions: all.replyPartitions, configs },
      ])
    }
    const plan = {
      system: system.name,
      brokers: stage.brokers.addresses,
      topics,
      setting: all,
      address: '',
    }
    let answerer: Side | undefined
    try {
      answerer = await openSide(system, { ...plan, side: 'answerer' })
      const asker = await openSide(system, { ...plan, side: 'asker', address: answerer.address })
      return new Pair(stage, system, topics, { asker, answerer })
    } catch (error) {
      await answerer?.close()
      await removeTopics(stage, system, topics)
      throw error
    }
  }

  /**
   * Runs a block; one in which something else used the machine, or the generator was late, is repeated. Rejects when a
   * side has ended: an asker tells so itself, but an answerer that is gone would look like a system that is slow.
   */
  async measure(plan: BlockPlan): Promise<MeasuredBlock> {
    for (let discarded = 0; ; discarded++) {
      const usage = watchUsage(this.#parts, this.#stage.processes)
      const result = await this.asker.block(plan)
      if (!isRunning(this.answerer.pid))
        throw new Error(`${this.system.name}, answerer: its process has ended`)
      const block = { ...result, ...usage() }
      const marks = marksOf(block)
      if (marks.length === 0 || discarded >= this.#stage.repeats) return { ...block, marks, discarded }
    }
  }

  /** Load that is not measured. */
  async warmUp(): Promise<void> {
    const milliseconds = this.system.warmUp ?? this.#stage.warmUp
    await this.asker.block({ kind: 'closed', inFlight: 64, milliseconds })
  }

  async close(): Promise<void> {
    this.#stage.pairs.delete(this)
    await this.asker.close()
    await this.answerer.close()
    this.#stage.processes.delete(this.asker.pid)
    this.#stage.processes.delete(this.answerer.pid)
    await removeTopics(this.#stage, this.system, this.#topics)
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function openSide(system: BenchSystem, plan: SidePlan): Promise<Side> {
  return 'start' in system.sides ? system.sides.start(plan) : SideProcess.open(system, plan)
}

function serverPids({ server }: BenchSystem, { brokers }: Stage): number[] {
  if (server === 'none') return []
  return listeners(server === 'kafka' ? brokers.addresses.map(portOf) : [server])
}

function portOf(address: string): number {
  return Number(address.split(':').at(-1))
}

async function removeTopics(stage: Stage, system: BenchSystem, topics: SidePlan['topics']): Promise<void> {
  if (system.server === 'kafka') await stage.transport.deleteTopics([topics.requests, topics.replies])
}
