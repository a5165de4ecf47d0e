import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('../ensure-installed.mjs', import.meta.url))
const folders: string[] = []
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

const lock = (version: string): string =>
  JSON.stringify({ packages: { '': {}, 'node_modules/a': { version, integrity: `sha512-${version}` } } })

/** A checkout whose `npm` writes down that it was called and then does what a real one would. */
async function checkout(installed: string | undefined): Promise<string> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'milena-install-test-')))
  folders.push(root)
  await mkdir(join(root, 'tools'))
  await cp(script, join(root, 'tools', 'ensure-installed.mjs'))
  await writeFile(join(root, 'package-lock.json'), lock('2.0.0'))
  await writeFile(
    join(root, 'npm.cjs'),
    `const fs = require('fs')
     fs.appendFileSync('calls', process.argv[2] + '\\n')
     if (fs.existsSync('broken')) { console.error('npm error code EBROKEN'); process.exit(1) }
     Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
     fs.mkdirSync('node_modules/a', { recursive: true })
     fs.copyFileSync('package-lock.json', 'node_modules/.package-lock.json')`,
  )
  if (installed !== undefined) {
    await mkdir(join(root, 'node_modules', 'a'), { recursive: true })
    await writeFile(join(root, 'node_modules', '.package-lock.json'), lock(installed))
  }
  return root
}

async function ensure(root: string, agent = 'npm/11.0.0'): Promise<{ status: number; said: string }> {
  const env = { ...process.env, npm_config_user_agent: agent, npm_execpath: join(root, 'npm.cjs') }
  const child = spawn(process.execPath, [join(root, 'tools', 'ensure-installed.mjs')], { env })
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)))
  const [said, status] = await Promise.all([text(child.stderr), ended])
  return { status, said }
}

async function calls(root: string): Promise<string[]> {
  return (await readFile(join(root, 'calls'), 'utf8').catch(() => '')).split('\n').filter(Boolean)
}

test('a fresh clone is installed once, and not again', async () => {
  const root = await checkout(undefined)
  assert.equal((await ensure(root)).status, 0)
  assert.deepEqual(await ensure(root), { status: 0, said: '' })
  assert.deepEqual(await calls(root), ['ci'])
})

test('an install of another lock file is renewed', async () => {
  const root = await checkout('1.0.0')
  assert.equal((await ensure(root)).status, 0)
  assert.deepEqual(await calls(root), ['ci'])
})

test('a package whose folder is gone is installed again', async () => {
  const root = await checkout('2.0.0')
  await rm(join(root, 'node_modules', 'a'), { recursive: true })
  assert.equal((await ensure(root)).status, 0)
  assert.deepEqual(await calls(root), ['ci'])
})

test('two commands at once install once', async () => {
  const root = await checkout(undefined)
  const both = await Promise.all([ensure(root), ensure(root)])
  assert.deepEqual(
    both.map((each) => each.status),
    [0, 0],
  )
  assert.deepEqual(await calls(root), ['ci'])
})

test('an install that fails is one line with the reason, and the next command tries again', async () => {
  const root = await checkout(undefined)
  await writeFile(join(root, 'broken'), '')
  const { status, said } = await ensure(root)
  assert.equal(status, 1)
  assert.match(said, /^milena: npm ci failed \(code EBROKEN\): .*\n$/m)
  await rm(join(root, 'broken'))
  assert.equal((await ensure(root)).status, 0)
})

test('too old an npm is told what to install', async () => {
  const { status, said } = await ensure(await checkout(undefined), 'npm/6.14.16')
  assert.equal(status, 1)
  assert.equal(
    said,
    'milena: npm 6 is too old: install Node 22.22 or newer (it brings its npm) and run this again\n',
  )
})
