/** Samples this process: what its main thread does, or what it allocates. */
import { Session, type HeapProfiler, type Profiler } from 'node:inspector/promises'
import { attribute, type CallNode } from './places.ts'
import type { Profile, ProfileKind } from './protocol.ts'

/** Microseconds between two samples of the processor's work. */
const interval = 200
/** Bytes allocated between two samples, on average. */
const bytes = 16 * 1024
const mostFunctions = 10

export class Profiling {
  readonly #session = new Session()
  #kind: ProfileKind | undefined
  #before = process.threadCpuUsage()

  async start(kind: ProfileKind): Promise<void> {
    if (this.#kind !== undefined) throw new Error(`a profile of ${this.#kind} is being taken`)
    this.#kind = kind
    this.#session.connect()
    if (kind === 'cpu') {
      await this.#session.post('Profiler.enable')
      await this.#session.post('Profiler.setSamplingInterval', { interval })
      await this.#session.post('Profiler.start')
    } else {
      await this.#session.post('HeapProfiler.startSampling', {
        samplingInterval: bytes,
        // What was collected before the end counts too: garbage is most of what a request allocates.
        includeObjectsCollectedByMajorGC: true,
        includeObjectsCollectedByMinorGC: true,
      })
    }
    this.#before = process.threadCpuUsage()
  }

  async stop(): Promise<Profile> {
    const { user, system } = process.threadCpuUsage(this.#before)
    let root: CallNode
    if (this.#kind === 'cpu') {
      root = cpuTree((await this.#session.post('Profiler.stop')).profile, user + system)
    } else if (this.#kind === 'allocations') {
      root = heapTree((await this.#session.post('HeapProfiler.stopSampling')).profile.head)
    } else throw new Error('no profile is being taken')
    this.#session.disconnect()
    this.#kind = undefined
    const { places, functions } = attribute(root)
    return { places, hottest: functions.slice(0, mostFunctions) }
  }
}

/**
 * Samples, each worth its part of the thread's processor time. Not the time between samples: on a busy machine that
 * has waits for a processor in it, which are nobody's work here.
 */
function cpuTree({ nodes, startTime, endTime }: Profiler.Profile, microseconds: number): CallNode {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const working = nodes.filter(({ callFrame }) => callFrame.functionName !== '(idle)')
  const samples = working.reduce((sum, { hitCount = 0 }) => sum + hitCount, 0)
  const worth = Math.min(microseconds, endTime - startTime) / Math.max(1, samples)
  const toNode = ({ callFrame, hitCount = 0, children = [] }: Profiler.ProfileNode): CallNode => ({
    callFrame,
    self: hitCount * worth,
    children: children.map((id) => toNode(byId.get(id)!)),
  })
  return toNode(nodes[0]!)
}

function heapTree({ callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode): CallNode {
  return { callFrame, self: selfSize, children: children.map(heapTree) }
}
