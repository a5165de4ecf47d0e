/** `npm run delivery`: it would say if something were lost; that nothing is shows in systems.test.ts. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ask, run } from '../support/payment-system.ts'
import { waitFor } from '../support/wait-for.ts'

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

test('with --stay its requesters can be asked until it is told to end', async () => {
  const { process: child, ended } = run(
    ['--stay', '--storm', '0', '--shops', '50', '--workers', '1'],
    {},
    command,
  )
  let printed = ''
  child.stdout!.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  const found = await waitFor(() => /^requesters: (\S+), \S+, \S+\nCtrl-C ends it$/m.exec(printed), {
    what: 'where the requesters are',
    timeout: 60_000,
  })
  assert.match(printed, /every shop is what the model says/)
  const answer = await ask(`${found[1]}/changes`)
  assert.deepEqual([answer.status, answer.body], [200, { changes: [] }])
  child.kill('SIGTERM')
  assert.equal((await ended).status, 0)
  await assert.rejects(ask(`${found[1]}/changes`))
})

test('a port that is taken, and a report that cannot be written, are told before anything is started', async (t) => {
  const server = createServer()
  t.after(() => server.close())
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
  // The second requester's.
  const taken = await delivery(`--port ${port - 1} --storm 0`)
  assert.deepEqual([taken.status, taken.stdout], [2, ''])
  assert.match(taken.stderr, new RegExp(`^port (?:${port - 1}|${port}) is taken: [^\\n]+\\n$`))
  const nowhere = await delivery('--report /dev/null/report.md --storm 0')
  assert.equal(nowhere.status, 2)
  assert.match(nowhere.stderr, /^--report \/dev\/null\/report.md cannot be written: [^\n]+\n$/)
})
