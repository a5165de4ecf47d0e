import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { startEmbeddedKafka } from '../src/index.ts'
import { formGroup, identity, joinRequest, makeCoordinator, rebalance, session } from './support/groups.ts'
import { until } from './support/until.ts'

test('a heartbeat that arrived while the process was held up counts, though the session ended before it was read', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader] = await formGroup(groups, clock, {})
  clock.holdUp(session * 3, () => groups.heartbeat(identity(leader)))
  assert.equal(groups.describe('g').state, 'Stable')
  // And without any, its session ends as ever.
  clock.advance(session * 2)
  assert.equal(groups.describe('g').state, 'Empty')
})

test('a member that has to connect again after the process was held up has half a session to do it', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader] = await formGroup(groups, clock, {})
  clock.holdUp(session * 3, () => {})
  clock.advance(session / 2 - 1)
  assert.equal(groups.heartbeat(identity(leader)), 0)
  clock.advance(session - 1)
  assert.equal(groups.describe('g').state, 'Stable')
})

test('a member that is gone is let go of, also if the process is held up again and again', async () => {
  const { groups, clock } = makeCoordinator()
  await formGroup(groups, clock, {})
  clock.holdUp(session * 3, () => {})
  clock.holdUp(session, () => {})
  assert.equal(groups.describe('g').state, 'Empty')
})

test('a timer that fires in time lets what has arrived be read before anybody is expelled', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader] = await formGroup(groups, clock, {})
  // Held up until exactly then: the timer is not late.
  clock.holdUp(session, () => groups.heartbeat(identity(leader)))
  assert.equal(groups.describe('g').state, 'Stable')
})

test('a rebalance does not go on without those whose join lies in the socket', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader, follower] = await formGroup(groups, clock, {}, {})
  assert.ok(follower)
  const first = groups.join(joinRequest({ memberId: leader.memberId }))
  let second: ReturnType<typeof groups.join> | undefined
  clock.holdUp(rebalance * 2, () => {
    second = groups.join(joinRequest({ memberId: follower.memberId }))
  })
  const answers = await Promise.all([first, second])
  assert.deepEqual(
    answers.map((answer) => answer?.error),
    [0, 0],
  )
  assert.equal(groups.describe('g').members.length, 2)
})

/** Joins a group by itself and then sends a heartbeat every 50 ms; tells each answer's error. */
const memberElsewhere = `
const { parentPort, workerData } = require('node:worker_threads')
const { connect } = require('node:net')
const socket = connect(workerData.port, '127.0.0.1')
let received = Buffer.alloc(0)
const waiting = []
socket.on('data', (chunk) => {
  received = Buffer.concat([received, chunk])
  while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
    const end = 4 + received.readInt32BE(0)
    waiting.shift()(received.subarray(8, end))
    received = received.subarray(end)
  }
})
const text = (value) => Buffer.concat([Buffer.from([value.length >> 8, value.length & 255]), Buffer.from(value)])
const number = (value) => { const bytes = Buffer.alloc(4); bytes.writeInt32BE(value); return bytes }
const ask = (key, version, ...parts) => new Promise((resolve) => {
  waiting.push(resolve)
  const body = Buffer.concat([Buffer.from([0, key, 0, version]), number(1), text('w'), ...parts])
  socket.write(Buffer.concat([number(body.length), body]))
})
void (async () => {
  const range = Buffer.concat([number(1), text('range'), number(0)])
  const joined = await ask(11, 0, text('g'), number(workerData.session), text(''), text('consumer'), range)
  let at = 6
  const next = () => { const length = joined.readInt16BE(at); at += 2 + length; return joined.toString('utf8', at - length, at) }
  next()
  next()
  const member = next()
  await ask(14, 0, text('g'), number(joined.readInt32BE(2)), text(member), number(0))
  setInterval(async () => {
    const answer = await ask(12, 0, text('g'), number(joined.readInt32BE(2)), text(member))
    parentPort.postMessage(answer.readInt16BE(0))
  }, 50)
})()
`

test('members elsewhere are not expelled because this process was blocked for longer than their session', async () => {
  const sessionMs = 1500
  await using broker = await startEmbeddedKafka({ topics: ['t'], groups: { minSessionTimeoutMs: 100 } })
  const worker = new Worker(memberElsewhere, {
    eval: true,
    workerData: { port: broker.port, session: sessionMs },
  })
  const answers: number[] = []
  worker.on('message', (error: number) => answers.push(error))
  try {
    await until(() => answers.length >= 3, 'the member sends heartbeats')
    const end = performance.now() + sessionMs * 2
    while (performance.now() < end) continue
    const blocked = answers.length
    await until(() => answers.length >= blocked + 5, 'it goes on')
    assert.deepEqual(
      answers.filter((error) => error !== 0),
      [],
    )
  } finally {
    const ended = once(worker, 'exit')
    await worker.terminate()
    await ended
  }
})
