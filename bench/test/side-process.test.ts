import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SideProcess } from '../src/run/side-process.ts'

const block = { kind: 'closed', inFlight: 1, milliseconds: 10 } as const

function start(program: string): Promise<SideProcess> {
  return SideProcess.start(process.execPath, ['-e', program], 'a side')
}

test('a side that ends before it is ready, in a block, or before one is an error that names it', async () => {
  await assert.rejects(start('process.exit(3)'), /a side: its process ended with 3/)
  const ready = `console.log('{"ready":true}');process.stdin.once('data',()=>process.exit(4))`
  const side = await start(ready)
  await assert.rejects(side.block(block), /a side: its process ended with 4/)
  await assert.rejects(side.block(block), /a side: its process has ended/)
  await side.close()
})
