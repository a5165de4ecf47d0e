/** Processor time of the system's processes while something goes on, by what they are; those that are killed meanwhile included. */
import { childrenOf, cpuOf, cpuOfAll, cpuOfFamily, listeners, memoryOf } from '@milena/hosting'
import { availableParallelism } from 'node:os'

export interface Usage {
  /** Milliseconds that were watched. */
  readonly took: number
  readonly processors: number
  /** Milliseconds of processor time, the most first. Empty where there is no /proc. */
  readonly parts: readonly Part[]
  /** All processes of the machine together, in milliseconds; `undefined` where nobody says. */
  readonly all: number | undefined
}

export interface Part {
  /** `worker-1`, `database` (all of its processes), `broker-1`. */
  readonly name: string
  readonly cpu: number
  /** Whether it is one JavaScript thread, which can use one processor and little more. */
  readonly oneThread: boolean
}

/** MiB of resident memory of a requester. */
export interface Memory {
  readonly name: string
  readonly before: number
  /** Each time that it was marked. */
  readonly marked: readonly number[]
  readonly most: number
}

const interval = 2_000

export class UsageWatch {
  readonly #brokers: readonly number[]
  readonly #began = performance.now()
  readonly #allBefore = cpuOfAll()
  readonly #last = new Map<string, number>()
  readonly #sums = new Map<string, number>()
  readonly #memory = new Map<string, { before: number; marked: number[]; now: number; most: number }>()
  readonly #timer: NodeJS.Timeout

  /** @param brokers `host:port,…` of brokers that are not ours; those on this machine are watched too */
  constructor(brokers: string | undefined) {
    const ports = (brokers?.split(',') ?? [])
      .filter((broker) => /^(localhost|127\.0\.0\.1):\d+$/.test(broker))
      .map((broker) => Number(broker.split(':')[1]))
    this.#brokers = ports.flatMap((port) => listeners([port]))
    this.sample()
    this.#sums.clear()
    this.#timer = setInterval(() => this.sample(), interval)
  }

  /** To be called before a process is killed: its time is gone with it. */
  sample(): void {
    for (const { pid, name } of childrenOf(process.pid)) {
      this.#add(name, pid, name === 'database' ? cpuOfFamily(pid) : cpuOf(pid))
      if (name.startsWith('requester')) this.#remember(name, memoryOf(pid))
    }
    this.#add('command', process.pid, cpuOf(process.pid))
    for (const [index, pid] of this.#brokers.entries()) this.#add(`broker-${index + 1}`, pid, cpuOf(pid))
  }

  get memory(): readonly Memory[] {
    return [...this.#memory].map(([name, { before, marked, most }]) => ({ name, before, marked, most }))
  }

  /** Has the memory of now stand in what `memory` tells. */
  mark(): void {
    this.sample()
    for (const each of this.#memory.values()) each.marked.push(each.now)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  end(): Usage {
    this.stop()
    this.sample()
    const all = cpuOfAll()
    return {
      took: performance.now() - this.#began,
      processors: availableParallelism(),
      parts: [...this.#sums]
        .map(([name, cpu]) => ({ name, cpu, oneThread: /^(worker|requester|broker$|command)/.test(name) }))
        .toSorted((a, b) => b.cpu - a.cpu),
      all: all === undefined || this.#allBefore === undefined ? undefined : all - this.#allBefore,
    }
  }

  #add(name: string, pid: number, cpu: number | undefined): void {
    if (cpu === undefined) return
    const of = `${name} ${pid}`
    // What a process that was started meanwhile has used belongs to it from its beginning.
    this.#sums.set(name, (this.#sums.get(name) ?? 0) + cpu - (this.#last.get(of) ?? 0))
    this.#last.set(of, cpu)
  }

  #remember(name: string, memory: number | undefined): void {
    if (memory === undefined) return
    const { before = memory, marked = [], most = memory } = this.#memory.get(name) ?? {}
    this.#memory.set(name, { before, marked, now: memory, most: Math.max(most, memory) })
  }
}

/** What it was bound by, in a sentence that says no more than the figures do. */
export function boundBy({ took, processors, parts, all }: Usage): string {
  if (all === undefined || parts.length === 0) return 'what it was bound by is not known: no /proc here'
  const busy = all / (took * processors)
  const ours = parts.reduce((sum, { cpu }) => sum + cpu, 0)
  const [first] = parts
  const most = `the most by ${first!.name} (${share(first!.cpu / took)} of one processor)`
  const machine =
    `the ${processors} processors were ${share(busy)} busy, ${share(ours / (took * processors))} ` +
    `of them with this run, ${most}`
  if (busy >= nearly) return `bound by the processors of this machine: ${machine}`
  const full = parts.find(({ cpu, oneThread }) => oneThread && cpu / took >= nearly)
  if (full !== undefined)
    return `bound by the one thread of ${full.name} (${share(full.cpu / took)} of a processor); ${machine}`
  return `bound by waiting (for disks, and for answers of broker and database), not by processors: ${machine}`
}

/** From here on something is as good as fully used. */
const nearly = 0.85

function share(part: number): string {
  return `${Math.round(part * 100)} %`
}
