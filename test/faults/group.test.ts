/**
 * Group members on a cluster of three brokers: brokers are killed, hung and restarted, members come, go, are killed and
 * stopped, all under load.
 */
import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import type { MilenaError } from '../../packages/request-reply/src/errors.ts'
import type { KafkaNode } from '../../tools/kafka/node.ts'
import { uniqueName } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'
import { useFaultyCluster } from './faulty-cluster.ts'
import { startLoad, type Load } from './load.ts'
import { Worker, type Handled } from './worker-process.ts'

const PARTITIONS = 6
/** For tests that wait until a session is over. */
const SHORT_SESSION = 10_000
/** Longer than a busy machine keeps a worker waiting. */
const SESSION = 30_000
/** Only bounds a hang. */
const patience = 180_000
/** For a whole suite, not for each of its tests. */
const SUITE = 30 * 60_000

const cluster = useFaultyCluster()

/** A topic and a group of this test's own, a load on it, and what its workers were handed. */
class Scene {
  readonly topic = uniqueName('work')
  readonly groupId = uniqueName('workers')
  readonly handled: Handled[] = []
  readonly workers: Worker[] = []
  #load: Load | undefined

  static async open(load = true): Promise<Scene> {
    const scene = new Scene()
    await cluster.createTopic({ name: scene.topic, partitions: PARTITIONS, replicationFactor: 3 })
    if (!load) return scene
    const running = startLoad(await cluster.connect(), scene.topic, PARTITIONS)
    scene.#load = running
    cluster.closeLater(() => running.stop())
    return scene
  }

  start(name: string, instanceId?: string, sessionTimeout = SESSION): Worker {
    const { topic, groupId } = this
    const settings = { brokers: cluster.kafka.brokers, topic, groupId, sessionTimeout }
    const worker = new Worker(
      name,
      instanceId === undefined ? settings : { ...settings, instanceId },
      this.handled,
    )
    this.workers.push(worker)
    cluster.closeLater(() => worker[Symbol.asyncDispose]())
    return worker
  }

  /** Two workers, each with its half, reading. */
  async startTwo(session = SESSION): Promise<[Worker, Worker]> {
    const [a, b] = [this.start('a', undefined, session), this.start('b', undefined, session)]
    await Promise.all([a.holds(3), b.holds(3)])
    await this.goesOn()
    return [a, b]
  }

  /** Where the group stands. */
  async committed(): Promise<Map<number, number>> {
    const committed = await cluster.transport.readCommittedOffsets(this.groupId, [this.topic])
    return new Map(committed.map(({ partition, offset }) => [partition, offset]))
  }

  /** Something new is handled in every partition. */
  async goesOn(): Promise<void> {
    const last = (partition: number): number =>
      Math.max(-1, ...this.handled.filter((one) => one.partition === partition).map((one) => one.offset))
    const before = Array.from({ length: PARTITIONS }, (_, partition) => last(partition))
    await waitFor(() => before.every((offset, partition) => last(partition) > offset + 3), {
      what: 'every partition to be read on',
      timeout: patience,
    })
  }

  /** Stops the load; everything that was acknowledged is handled. Gives the records that were handled again. */
  async finish(): Promise<Handled[]> {
    await this.#load!.stop()
    const seen = new Set<string>()
    let counted = 0
    const missing = (): number => {
      for (; counted < this.handled.length; counted++) {
        const one = this.handled[counted]!
        seen.add(`${one.partition}/${one.offset}`)
      }
      return this.#load!.acknowledged.flatMap((map, partition) =>
        [...map.keys()].filter((offset) => !seen.has(`${partition}/${offset}`)),
      ).length
    }
    await waitFor(() => missing() === 0, {
      what: 'every acknowledged record to be handled',
      timeout: patience,
    }).catch((error: Error) => {
      const told = this.workers.map((one) => `${one.name}: ${JSON.stringify(one.events)}`).join('\n')
      throw new Error(`${error.message}; ${missing()} are missing\n${told}`)
    })
    return this.#again()
  }

  /** Each worker reads a partition in order for as long as it has it: offsets go back only where it began anew. */
  #again(): Handled[] {
    const firstTime = new Set<string>()
    const again: Handled[] = []
    const last = new Map<string, number>()
    for (const one of this.handled) {
      const key = `${one.partition}/${one.offset}`
      if (firstTime.has(key)) again.push(one)
      else {
        firstTime.add(key)
        const lane = `${one.worker}:${one.partition}`
        assert.ok((last.get(lane) ?? -1) < one.offset, `${one.worker} read ${key} out of order`)
        last.set(lane, one.offset)
      }
    }
    return again
  }
}

async function survives(
  context: TestContext,
  fault: (scene: Scene) => Promise<void>,
  expectations: { rebalances: boolean } = { rebalances: false },
): Promise<void> {
  const scene = await Scene.open()
  const workers = await scene.startTwo()
  const before = workers.map((worker) => worker.events.length)
  const began = performance.now()
  await fault(scene)
  await scene.goesOn()
  context.diagnostic(
    `all partitions read again ${Math.round(performance.now() - began)} ms after the fault began`,
  )
  const again = await scene.finish()
  assert.deepEqual(again, [], 'nothing is handed over twice')
  if (!expectations.rebalances) {
    assert.deepEqual(
      workers.map((worker, index) => worker.events.slice(before[index])),
      [[], []],
      'no partition moved, no error was told',
    )
  }
  await Promise.all(workers.map((worker) => worker.close()))
}

describe('a group under load loses nothing, repeats nothing, keeps the order', { timeout: SUITE }, () => {
  test('when its coordinator is killed, which is found anew with the same generation (trap N4)', async (context) => {
    await survives(context, async (scene) => {
      const coordinator = await cluster.kafka.coordinatorOf(scene.groupId)
      await coordinator.kill('SIGKILL')
    })
  })

  test('when its coordinator hangs', async (context) => {
    let hung: KafkaNode | undefined
    await survives(context, async (scene) => {
      hung = await cluster.kafka.coordinatorOf(scene.groupId)
      await hung.kill('SIGSTOP')
    })
    await hung!.kill('SIGCONT')
  })

  test('when its coordinator hangs in the middle of a rebalance', async (context) => {
    await survives(
      context,
      async (scene) => {
        const [a, b] = scene.workers as [Worker, Worker]
        const hung = await cluster.kafka.coordinatorOf(scene.groupId)
        const c = scene.start('c')
        // Two members let go of a partition each, and join again to say so: that is when it hangs.
        await waitFor(() => a.told('revoked').length + b.told('revoked').length > 0, {
          what: 'a partition to be let go of',
          interval: 5,
        })
        await hung.kill('SIGSTOP')
        // Longer than an election, shorter than the 65 s after which a worker gives a JoinGroup up.
        await waitFor(() => a.held.size === 2 && b.held.size === 2 && c.held.size === 2, {
          what: 'two partitions for each',
          timeout: 50_000,
        })
      },
      { rebalances: true },
    )
  })

  test('when its coordinator, which leads partitions too, is restarted', async (context) => {
    await survives(context, async (scene) => {
      const coordinator = await cluster.kafka.coordinatorOf(scene.groupId)
      await coordinator.restart()
    })
  })

  test('when members go from two to three and back, each committing in time (trap N5)', async (context) => {
    await survives(
      context,
      async (scene) => {
        const [a, b] = scene.workers as [Worker, Worker]
        const c = scene.start('c')
        await Promise.all([a.holds(2), b.holds(2), c.holds(2)])
        await scene.goesOn()
        await b.close()
        await Promise.all([a.holds(3), c.holds(3)])
        await scene.goesOn()
        for (const worker of [a, b, c])
          assert.deepEqual([worker.told('lost'), worker.told('refused')], [[], []])
      },
      { rebalances: true },
    )
  })
})

describe('a group under load', { timeout: SUITE }, () => {
  test('gives a killed member’s partitions to the others after the session timeout; only its last ones come again (trap N13)', async () => {
    const scene = await Scene.open()
    const [a, b] = await scene.startTwo(SHORT_SESSION)
    const dead = new Set(b.held)
    await b.kill()
    const stood = await scene.committed()
    await a.holds(6)
    await scene.goesOn()
    const again = await scene.finish()
    for (const one of again) {
      assert.ok(dead.has(one.partition), `only the dead member's partitions: ${one.partition}`)
      assert.ok(one.offset >= (stood.get(one.partition) ?? 0), 'nothing that it had committed')
    }
    await a.close()
  })

  test('a member that was stopped beyond its session notices, and commits nothing over its successor (trap N5)', async () => {
    const scene = await Scene.open()
    const [a, b] = await scene.startTwo(SHORT_SESSION)
    const moved = new Set(b.held)
    b.signal('SIGSTOP')
    const stoppedAt = Date.now()
    await a.holds(6)
    await scene.goesOn()
    const before = await scene.committed()
    b.signal('SIGCONT')
    await waitFor(() => b.told('lost').length > 0, { what: 'the loss to be noticed', timeout: patience })
    await Promise.all([a.holds(3), b.holds(3)])
    const after = await scene.committed()
    for (const [partition, offset] of before)
      assert.ok(after.get(partition)! >= offset, 'no commit went back')
    assert.deepEqual(
      new Set((b.told('lost')[0] as [string, number[]])[1]),
      moved,
      'all that it had is told as lost',
    )
    const stale = scene.handled.filter(
      ({ worker, at, offset, partition }) =>
        worker === 'b' && at > stoppedAt && offset < (before.get(partition) ?? 0),
    )
    assert.deepEqual(stale, [], 'it was handed nothing that its successor had done')
    await scene.goesOn()
    await scene.finish()
    await Promise.all([a.close(), b.close()])
  })

  test('a static member that is killed and comes back in time moves nothing (trap 16)', async () => {
    const scene = await Scene.open()
    // Long enough for a process to start on a busy machine.
    const session = 60_000
    const [a, b] = [scene.start('a', 'worker-1', session), scene.start('b', 'worker-2', session)]
    await Promise.all([a.holds(3), b.holds(3)])
    await scene.goesOn()
    const told = a.events.length
    const held = new Set(b.held)
    await b.kill()
    const killedAt = performance.now()
    const again = scene.start('b again', 'worker-2', session)
    await again.holds(3)
    assert.ok(performance.now() - killedAt < session, 'it need not wait until its own session is over')
    await scene.goesOn()
    assert.deepEqual(again.held, held)
    assert.equal(a.events.length, told, 'the other member noticed nothing')
    await again.close()
    const third = scene.start('b after close', 'worker-2', session)
    await third.holds(3)
    await scene.finish()
    assert.deepEqual(third.held, held)
    assert.equal(a.events.length, told)
    await Promise.all([a.close(), third.close()])
  })

  test('a static member whose name another process takes is told so, loses everything and stops', async () => {
    const scene = await Scene.open()
    const first = scene.start('first', 'the-same')
    await first.holds(6)
    const second = scene.start('second', 'the-same')
    await second.holds(6)
    await waitFor(() => first.told('error').length > 0, { what: 'the first to be told', timeout: patience })
    assert.equal((first.told('error')[0] as string[])[1], 'MILENA_COMMIT_FENCED')
    assert.equal(first.held.size, 0)
    await scene.finish()
    await Promise.all([first.close(), second.close()])
  })
})

describe('a member', { timeout: SUITE }, () => {
  test('closes within its bounds while every broker hangs, and leaves nothing running (trap N12)', async () => {
    const scene = await Scene.open(false)
    const worker = scene.start('alone')
    await worker.holds(6)
    for (const node of cluster.kafka.nodes) await node.kill('SIGSTOP')
    await worker.close()
    assert.equal(worker.told('closed').length, 1)
    for (const node of cluster.kafka.nodes) await node.kill('SIGCONT')
  })

  test('starts although the broker that is asked first hangs', async () => {
    const scene = await Scene.open(false)
    const coordinator = await cluster.kafka.coordinatorOf(scene.groupId)
    const other = cluster.kafka.nodes.find((node) => node !== coordinator)!
    await other.kill('SIGSTOP')
    const rest = cluster.kafka.brokers.filter((address) => address !== other.address)
    const slow = await cluster.connect([other.address, ...rest])
    let held = 0
    await slow.join({
      groupId: scene.groupId,
      topics: [scene.topic],
      from: 'earliest',
      sessionTimeout: SESSION,
      onAssigned: (partitions) => (held += partitions.length),
      onRecords: () => {},
      onRevoked: () => Promise.resolve(),
      onLost: () => {},
    })
    assert.equal(held, PARTITIONS)
  })

  test('is refused, with what to do, in a group whose members share out in another way', async () => {
    const scene = await Scene.open(false)
    const { Consumer, stringDeserializers } = await import('@platformatic/kafka')
    const foreign = new Consumer({
      clientId: 'foreign',
      groupId: scene.groupId,
      bootstrapBrokers: cluster.kafka.brokers,
      deserializers: stringDeserializers,
    })
    foreign.on('error', () => {})
    const stream = await foreign.consume({ topics: [scene.topic], autocommit: false })
    cluster.closeLater(async () => {
      await stream.close()
      await foreign.close()
    })
    await assert.rejects(
      cluster.transport.join({
        groupId: scene.groupId,
        topics: [scene.topic],
        from: 'earliest',
        onRecords: () => {},
        onRevoked: () => Promise.resolve(),
        onLost: () => {},
      }),
      (error: MilenaError) => {
        assert.equal(error.code, 'MILENA_BROKER_ERROR')
        assert.match(error.message, /cooperative-sticky.*another group id/)
        return true
      },
    )
  })
})
