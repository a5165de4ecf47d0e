/** `npm run delivery`: request-reply loses nothing and keeps the order, and the command would say if it did not. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { run } from '../support/payment-system.ts'
import { hasRedis } from '../support/redis.ts'

const command = 'systems/delivery-radius/src/main.ts'

function delivery(args: string): ReturnType<typeof run>['ended'] {
  return run(args.split(' '), {}, command).ended
}

/** A line of the table of ways: a figure for each. */
function figures(stdout: string, title: string): readonly number[] {
  const line = stdout.split('\n').find((one) => one.startsWith(`${title}  `))
  assert.ok(line !== undefined, `no ${title} in ${stdout}`)
  return line.slice(title.length).trim().split(/ {2,}/).map(Number)
}

test('of the same storm request-reply loses nothing and keeps the order, while locks have theirs counted beside it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'milena-delivery-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const report = join(folder, 'report.md')
  const storm = '--storm 24 --rate 40 --wave 12 --hot 60 --each 20'
  const all = '--shops 1500 --triggers 3 --kills 1 --requesters 2'
  const { status, stdout, stderr } = await delivery(`${storm} ${all} --report ${report}`)
  assert.equal(status, 0, stdout + stderr)

  const withRedis = stdout.includes('Redis lock: a lock for each shop')
  assert.ok(withRedis || (!hasRedis() && stdout.includes('Redis lock: left out')), stdout)
  const ways = withRedis ? 4 : 3
  const ours = ways - 1
  for (const name of ['deadlocks', 'lock timeouts', 'made', 'failed, caller told'])
    assert.equal(figures(stdout, name).length, ways, name)
  assert.deepEqual(
    figures(stdout, 'changes fired'),
    Array.from({ length: ways }, () => 480),
  )
  for (const name of ['caller not told', 'lost', 'out of order, as accepted'])
    assert.equal(figures(stdout, name)[ours], 0, `${name}: ${stdout}`)
  // Else the storm has shown nothing.
  for (const name of ['made', 'refused by the rules, caller told'])
    assert.ok(figures(stdout, name)[ours]! > 0, `${name}: ${stdout}`)

  assert.match(stdout, /4500 changes in .* while workers were killed 1 times/)
  assert.match(stdout, /the model has read \d+ requests from the log and been held against 1500 shops/)
  assert.match(stdout, /every shop is what the model says/)
  assert.match(readFileSync(report, 'utf8'), /\| lost \|[^]*## The model[^]*Nothing differs\./)
})

test('a worker that says of some changes that it has made them, and has not, is found', async () => {
  const storm = '--alone --storm 12 --rate 40 --hot 60 --each 20'
  const { status, stdout, stderr } = await delivery(`${storm} --shops 500 --requesters 2 --defect`)
  assert.equal(status, 1, stdout + stderr)
  assert.ok(figures(stdout, 'lost')[0]! > 0, stdout)
  assert.match(stdout, /request-reply: \d+ changes were lost/)
  assert.match(stdout, /shop-\d+ is \d+ m after \d+ changes \(.*\); it must be \d+ m after \d+ changes/)
})
