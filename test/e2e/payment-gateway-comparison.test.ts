/** `npm start -- --exit`: the document's problem happens, and every cure cures it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestCluster, uniqueName } from '../support/cluster.ts'
import { hasRedis, openTestRedis } from '../support/redis.ts'
import { run } from '../support/payment-system.ts'

const command = 'systems/payment-gateway/src/compare/main.ts'

test('the comparison loses replies to the wrong gateway only where one group shares one topic', async (t) => {
  const prefix = `${uniqueName('cmp')}-`
  if (process.env['KAFKA_BROKERS']) {
    const cluster = await openTestCluster()
    t.after(() => cluster.close())
    for (const topic of ['payment_request', 'payment_reply', 'payment_response', 'payment_relayed'])
      cluster.own(prefix + topic)
  }
  const redis = hasRedis() ? await openTestRedis() : undefined
  t.after(() => redis?.close())
  const args = ['--exit', '--port', '0', '--prefix', prefix, '--rate', '40', '--seconds', '2']
  const { status, stdout, stderr } = await run(args, { REDIS_URL: redis?.url }, command).ended
  assert.equal(status, 0, stdout + stderr)
  // Of each routing two rows: its name, requests, answered, lost to the wrong gateway, and more.
  const rows = stdout.split('\n').flatMap((line) => {
    const [, name, ...figures] = /^(\S.*?) +(\d+) +(\d+) +(\d+) +\d+ /.exec(line) ?? []
    return name === undefined ? [] : [{ name, figures: figures.map(Number) }]
  })
  const relayed = stdout.includes('without the relay through Redis')
    ? []
    : ['redisRelay', 'redisRelay, polling']
  if (redis !== undefined) assert.equal(relayed.length, 2, stdout)
  const names = [
    'same group, one topic *',
    'instanceReplyTopic',
    'sharedReplyTopic',
    ...relayed,
    'replyPartition',
  ]
  assert.deepEqual(
    rows.map(({ name }) => name),
    [...names, ...names],
  )
  for (const { name, figures } of rows) {
    const [requests, answered, lost] = figures as [number, number, number]
    assert.equal(requests, 80, name)
    if (name.startsWith('same group')) assert.ok(lost > 0 && answered < requests, `${name} lost ${lost}`)
    else assert.equal(lost, 0, name)
  }
})

test('an option that does not exist is status 2 and one line', async () => {
  const { status, stderr } = await run(['--quickly'], {}, command).ended
  assert.equal(status, 2)
  assert.match(stderr, /^Unknown option '--quickly'; --help lists the options\n$/)
})
