import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Identity } from '../../src/transport/kafka/group/coordinator-requests.ts'
import { GroupCommits, type CommitHolding } from '../../src/transport/kafka/group/commits.ts'
import type { RecordPosition } from '../../src/transport/transport.ts'
import { until } from './until.ts'

const UNKNOWN_TOPIC = 3
const METADATA_TOO_LARGE = 12
const ILLEGAL_GENERATION = 22
const UNKNOWN_MEMBER = 25
const REBALANCE = 27

interface Request {
  readonly identity: Identity
  readonly offsets: readonly RecordPosition[]
  readonly answer: (...codes: number[]) => void
  readonly fail: () => void
}

/** A coordinator whose answers the test gives. */
class Scene {
  readonly requests: Request[] = []
  identity: Identity | undefined = { memberId: 'm', generation: 1 }
  doubts = 0
  readonly commits = new GroupCommits({
    groupId: 'g',
    identity: () => this.identity,
    doubt: () => this.doubts++,
    coordinator: {
      commit: (identity, offsets) =>
        new Promise((resolve, reject) => {
          this.requests.push({
            identity,
            offsets,
            answer: (...codes) => resolve(codes),
            fail: () => reject(new Error('connection lost')),
          })
        }),
    },
  })

  async request(index: number): Promise<Request> {
    await until(`request ${index}`, () => this.requests.length > index)
    return this.requests[index]!
  }
}

const holding = (partition: number): { -readonly [Key in keyof CommitHolding]: CommitHolding[Key] } => ({
  topic: 't',
  partition,
  held: true,
})
const fenced = { code: 'MILENA_COMMIT_FENCED' }

describe('commits', () => {
  test('go one request at a time; what gathers meanwhile goes next, the latest of each partition', async () => {
    const scene = new Scene()
    const [a, b] = [holding(0), holding(1)]
    const first = scene.commits.commit([[a, { offset: 1 }]])
    const rest = [
      scene.commits.commit([[a, { offset: 2 }]]),
      scene.commits.commit([
        [a, { offset: 3 }],
        [b, { offset: 7 }],
      ]),
    ]
    assert.equal(scene.requests.length, 1)
    scene.requests[0]!.answer(0)
    await first
    const next = await scene.request(1)
    assert.deepEqual(
      next.offsets.map(({ partition, offset }) => [partition, offset]),
      [
        [0, 3],
        [1, 7],
      ],
    )
    next.answer(0, 0)
    await Promise.all(rest)
  })

  test('wait while a rebalance settles who this member is, and then go with the new generation', async () => {
    const scene = new Scene()
    scene.identity = undefined
    const done = scene.commits.commit([[holding(0), { offset: 5 }]])
    assert.equal(scene.requests.length, 0)
    scene.identity = { memberId: 'm', generation: 2 }
    scene.commits.drive()
    const request = await scene.request(0)
    assert.equal(request.identity.generation, 2)
    request.answer(0)
    await done
  })

  for (const code of [REBALANCE, ILLEGAL_GENERATION, UNKNOWN_MEMBER]) {
    test(`refused with ${code} go again only as long as the same holding lasts (trap N5)`, async () => {
      const scene = new Scene()
      const [kept, lost] = [holding(0), holding(1)]
      const keeps = scene.commits.commit([[kept, { offset: 5 }]])
      const loses = assert.rejects(scene.commits.commit([[lost, { offset: 6 }]]), fenced)
      scene.requests[0]!.answer(code)
      const again = await scene.request(1)
      lost.held = false
      scene.identity = { memberId: 'm', generation: 2 }
      again.answer(...again.offsets.map(() => code))
      await loses
      const last = await scene.request(2)
      assert.deepEqual(last.offsets, [{ topic: 't', partition: 0, offset: 5 }])
      assert.equal(last.identity.generation, 2)
      last.answer(0)
      await keeps
      assert.equal(scene.doubts > 0, code !== REBALANCE, 'a refused identity is looked into')
    })
  }

  test('that failed with the connection go again, but not over a later one', async () => {
    const scene = new Scene()
    const one = holding(0)
    const [early, late] = [
      scene.commits.commit([[one, { offset: 5 }]]),
      scene.commits.commit([[one, { offset: 9 }]]),
    ]
    scene.requests[0]!.fail()
    const again = await scene.request(1)
    assert.deepEqual(again.offsets, [{ topic: 't', partition: 0, offset: 9 }])
    again.answer(0)
    await Promise.all([early, late])
  })

  test('are refused when their holding is over before they were sent', async () => {
    const scene = new Scene()
    scene.identity = undefined
    const one = holding(0)
    const done = assert.rejects(scene.commits.commit([[one, { offset: 5 }]]), fenced)
    one.held = false
    scene.commits.fence()
    await done
    assert.equal(scene.requests.length, 0)
  })

  test('of a holding that ended while they waited are not sent, though nobody has said so', async () => {
    const scene = new Scene()
    scene.identity = undefined
    const [kept, lost] = [holding(0), holding(1)]
    const keeps = scene.commits.commit([[kept, { offset: 5 }]])
    const loses = assert.rejects(scene.commits.commit([[lost, { offset: 6 }]]), fenced)
    lost.held = false
    scene.identity = { memberId: 'm', generation: 2 }
    scene.commits.drive()
    assert.deepEqual(scene.requests[0]!.offsets, [{ topic: 't', partition: 0, offset: 5 }])
    await loses
    scene.requests[0]!.answer(0)
    await keeps
  })

  test('that are all refused so ask nothing of the coordinator', async () => {
    const scene = new Scene()
    scene.identity = undefined
    const lost = holding(0)
    const loses = assert.rejects(scene.commits.commit([[lost, { offset: 6 }]]), fenced)
    lost.held = false
    scene.identity = { memberId: 'm', generation: 2 }
    scene.commits.drive()
    assert.deepEqual(scene.requests, [])
    await loses
  })

  for (const code of [REBALANCE, ILLEGAL_GENERATION, UNKNOWN_MEMBER]) {
    test(`of a holding that ended meanwhile end with the answer ${code}: it says nothing of who this member is now`, async () => {
      const scene = new Scene()
      const lost = holding(0)
      const loses = assert.rejects(scene.commits.commit([[lost, { offset: 6 }]]), fenced)
      lost.held = false
      scene.requests[0]!.answer(code)
      await loses
      assert.equal(scene.doubts, 0)
      // Nothing is left that the next one would have to wait for.
      const next = scene.commits.commit([[holding(1), { offset: 1 }]])
      assert.equal(scene.requests.length, 2)
      scene.requests[1]!.answer(0)
      await next
    })
  }

  test('settle one by one: what is refused for good does not take the others with it', async () => {
    const scene = new Scene()
    const busy = scene.commits.commit([[holding(9), { offset: 1 }]])
    const good = scene.commits.commit([[holding(0), { offset: 5 }]])
    const both = assert.rejects(
      scene.commits.commit([
        [holding(1), { offset: 5 }],
        [holding(2), { offset: 5 }],
      ]),
      { code: 'MILENA_BROKER_ERROR' },
    )
    scene.requests[0]!.answer(0)
    await busy
    ;(await scene.request(1)).answer(0, 0, METADATA_TOO_LARGE)
    await Promise.all([good, both])
  })

  test('of a partition that the coordinator does not know yet go again', async () => {
    const scene = new Scene()
    const fresh = holding(0)
    const done = scene.commits.commit([[fresh, { offset: 5 }]])
    scene.requests[0]!.answer(UNKNOWN_TOPIC)
    ;(await scene.request(1)).answer(UNKNOWN_TOPIC)
    ;(await scene.request(2)).answer(0)
    await done
    assert.equal(fresh.denials, undefined, 'what was said before it was known does not count later')
  })

  test('of a topic that is gone end once several answers over a time say so, the next ones at once', async () => {
    const scene = new Scene()
    const gone = holding(0)
    const missing = { code: 'MILENA_TOPIC_MISSING', message: /group g: committing t\/0: the topic does not/ }
    const began = performance.now()
    let isOver = false
    const ends = assert
      .rejects(scene.commits.commit([[gone, { offset: 5 }]]), missing)
      .finally(() => (isOver = true))
    let answered = 0
    await until('the end', () => {
      while (answered < scene.requests.length) scene.requests[answered++]!.answer(UNKNOWN_TOPIC)
      return isOver
    })
    await ends
    assert.ok(answered >= 3 && performance.now() - began >= 290, `${answered} answers`)
    const next = assert.rejects(scene.commits.commit([[gone, { offset: 6 }]]), missing)
    scene.requests[answered]!.answer(UNKNOWN_TOPIC)
    await next
    assert.equal(scene.requests.length, answered + 1)
  })

  test('end when the member closes', async () => {
    const scene = new Scene()
    const [sent, waits] = [
      scene.commits.commit([[holding(0), { offset: 5 }]]),
      scene.commits.commit([[holding(0), { offset: 6 }]]),
    ]
    const outcomes = Promise.all([assert.rejects(sent, fenced), assert.rejects(waits, fenced)])
    scene.commits.close()
    scene.requests[0]!.fail()
    await outcomes
    assert.equal(scene.requests.length, 1)
  })
})
