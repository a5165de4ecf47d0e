/** `npm run delivery`: it would say if something were lost; that nothing is shows in systems.test.ts. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { run } from '../support/payment-system.ts'

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

test('changes that are said to be made, and are not, are found', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'milena-delivery-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const report = join(folder, 'report.md')
  const storm = '--alone --storm 12 --rate 40 --hot 60 --each 20'
  const { status, stdout, stderr } = await delivery(
    `${storm} --shops 500 --requesters 2 --defect --report ${report}`,
  )
  assert.equal(status, 1, stdout + stderr)
  assert.ok(figures(stdout, 'lost')[0]! > 0, stdout)
  assert.match(stdout, /request-reply: \d+ changes were lost/)
  assert.match(stdout, /shop-\d+ is \d+ m after \d+ changes \(.*\); it must be \d+ m after \d+ changes/)
  assert.match(readFileSync(report, 'utf8'), /\| lost \|[^]*## The model[^]*shop-\d+ is \d+ m/)
})
