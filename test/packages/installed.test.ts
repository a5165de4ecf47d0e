/** The packages as somebody installs them: packed, put into an empty project, and used from there. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'

const root = fileURLToPath(new URL('../..', import.meta.url))
const names = ['embedded-kafka', 'postgres', 'redis', 'request-reply']
/** From the oldest to the newest of each kind; the project's own is beside them. */
const compilers = ['54@npm:typescript@5.4.5', '59@npm:typescript@5.9.3', '60@npm:typescript@6.0.3'].map(
  (version) => `typescript${version}`,
)
const run = promisify(execFile)

let folder: string
/** Why nothing could be installed; undefined when it was. Never in CI, where that is a failure. */
let offline: string | undefined

before(
  async () => {
    folder = await mkdtemp(join(tmpdir(), 'milena-packages-'))
    const packed = names.flatMap((name) => ['--workspace', `packages/${name}`])
    await run('npm', ['pack', ...packed, '--pack-destination', folder], { cwd: root, timeout: 120_000 })
    await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
    const carried = `node22@npm:node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}@22.23.5`
    const others = ['@types/node@22', ...compilers, 'vitest@5.1.2', carried]
    const quiet = ['--ignore-scripts', '--prefer-offline', '--fetch-retries=1', '--fetch-timeout=60000']
    try {
      const tarballs = names.map((name) => `./milena-${name}-0.1.0.tgz`)
      await run('npm', ['install', ...quiet, ...tarballs, ...others], { cwd: folder, timeout: 180_000 })
    } catch (error) {
      const { stderr = '' } = error as { stderr?: string }
      if (process.env['CI'] === 'true' || !/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT/.test(stderr))
        throw error
      offline = 'the npm registry cannot be reached'
    }
  },
  { timeout: 300_000 },
)
after(() => rm(folder, { recursive: true, force: true }))

test('a package has its code, its README and the licence, and nothing that nobody needs', async () => {
  for (const name of names) {
    const { stdout } = await run('tar', ['tzf', join(folder, `milena-${name}-0.1.0.tgz`)])
    const files = stdout.trim().split('\n')
    for (const file of [
      'README.md',
      'LICENSE',
      'package.json',
      'dist/index.js',
      'dist/index.d.ts',
      'src/index.ts',
    ])
      assert.ok(files.includes(`package/${file}`), `${name} has no ${file}`)
    const needless = files.filter((file) => !/^package\/((dist|src)\/.+\.(js|ts|map|sql)|[^/]+)$/.test(file))
    assert.deepEqual(needless, [])
    assert.ok(!files.some((file) => /tsbuildinfo|tsconfig|\.test\./.test(file)), name)
    assert.equal(
      await readFile(`${root}/packages/${name}/LICENSE`, 'utf8'),
      await readFile(`${root}/LICENSE`, 'utf8'),
    )
  }
})

test('publint finds nothing in a package', async () => {
  for (const name of names) {
    const { messages } = await publint({ pkgDir: `${root}/packages/${name}`, strict: true })
    assert.deepEqual(messages, [], name)
  }
})

/**
 * Of the rules of arethetypeswrong.github.io one is left out: `CJSResolvesToESM` warns CommonJS of a package that has ES
 * modules alone. Each Node that the packages need loads such a package by `require()`, which a test here tries.
 */
const leftOut = 'CJSResolvesToESM'

test('the types of a tarball are found, and say what its code is, however it is resolved', async () => {
  for (const name of names) {
    const tarball = await readFile(join(folder, `milena-${name}-0.1.0.tgz`))
    const checked = await checkPackage(createPackageFromTarballData(tarball))
    assert.ok(checked.types !== false, `${name} has no types`)
    assert.deepEqual(
      checked.problems.filter(({ kind }) => kind !== leftOut),
      [],
      name,
    )
  }
})

for (const version of [24, 22]) {
  test(`the first code of the READMEs runs on Node ${version}, imported and required`, async (context) => {
    const node = nodeOf(version, context)
    if (node === undefined) return
    assert.equal(await runCode(node, 'request-reply', 0), 'say : hello\n')
    assert.equal(await runCode(node, 'request-reply', 1), 'hello Milena\n')
    assert.equal(await runCode(node, 'embedded-kafka', 0), '1\n')
    const required = names.map((name) => `Object.keys(require('@milena/${name}')).length > 0`).join(' && ')
    await writeFile(join(folder, 'required.cjs'), `console.log(${required})`)
    assert.equal((await run(node, ['required.cjs'], { cwd: folder, timeout: 60_000 })).stdout, 'true\n')
  })
}

test('the README’s test runs under node:test and under vitest', async (context) => {
  if (skipped(context)) return
  const code = await codeOf('embedded-kafka', 1)
  await writeFile(join(folder, 'a.mjs'), code)
  await writeFile(join(folder, 'a.test.ts'), code.replace("'node:test'", "'vitest'"))
  const env = { ...process.env }
  delete env['NODE_TEST_CONTEXT']
  const options = { cwd: folder, timeout: 60_000, env }
  assert.match((await run(process.execPath, ['--test', 'a.mjs'], options)).stdout, /pass 1\b/)
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', 'a.test.ts', '--no-color', '--testTimeout=30000']
  assert.match((await run(process.execPath, vitest, options)).stdout, /1 passed/)
})

test('examples/testing passes with the installed packages, under node:test and under vitest', async (context) => {
  if (skipped(context)) return
  const env = { ...process.env }
  delete env['NODE_TEST_CONTEXT']
  const options = { cwd: folder, timeout: 120_000, env }
  for (const file of ['node.test.ts', 'vitest.test.mjs'])
    await copyFile(`${root}/examples/testing/${file}`, join(folder, file))
  assert.match((await run(process.execPath, ['--test', 'node.test.ts'], options)).stdout, /pass 2\b/)
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', 'vitest.test.mjs', '--no-color']
  const args = [...vitest, '--testTimeout=60000', '--hookTimeout=60000']
  assert.match((await run(process.execPath, args, options)).stdout, /2 passed/)
})

test('a routing of one’s own is asked the contract with the installed packages, under node:test and under vitest', async (context) => {
  if (skipped(context)) return
  const env = { ...process.env }
  delete env['NODE_TEST_CONTEXT']
  const options = { cwd: folder, timeout: 240_000, env }
  const code = await copyOwnRouting('./own-routing.ts')
  await writeFile(join(folder, 'own-node.test.ts'), code)
  assert.match((await run(process.execPath, ['--test', 'own-node.test.ts'], options)).stdout, /pass 20\b/)
  const names = '{ describe, test, beforeAll, afterAll, afterEach }'
  const runner = 'const runner = { describe, test, before: beforeAll, after: afterAll, afterEach }'
  const imported = "import * as runner from 'node:test'"
  assert.ok(code.includes(imported))
  const forVitest = code.replace(imported, `import ${names} from 'vitest'\n${runner}`)
  await writeFile(join(folder, 'own-vitest.test.ts'), forVitest)
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', 'own-vitest.test.ts', '--no-color']
  const args = [...vitest, '--testTimeout=120000', '--hookTimeout=60000']
  assert.match((await run(process.execPath, args, options)).stdout, /20 passed/)
})

test('the types hold under TypeScript 5.4, 5.9, 6.0 and the one of this project, without further settings', async (context) => {
  if (skipped(context)) return
  for (const name of ['request-reply', 'embedded-kafka'])
    for (const block of [0, 1])
      await writeFile(join(folder, `${name}-${block}.ts`), await codeOf(name, block))
  await writeFile(join(folder, 'own-routing-types.ts'), await copyOwnRouting('./own-routing.js'))
  const files = globSync('{request-reply,embedded-kafka,own-routing}-*.ts', { cwd: folder })
  const installed = compilers.map((name) => join(folder, 'node_modules', name.split('@')[0]!))
  for (const compiler of [...installed, join(root, 'node_modules/typescript')]) {
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--types', 'node', ...files]
    await run(process.execPath, [join(compiler, 'bin/tsc'), ...options], { cwd: folder, timeout: 120_000 })
  }
})

test('a Node that is too old gets one line that names the one it needs', async (context) => {
  if (skipped(context)) return
  const old = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.1.0'}})`
  for (const name of ['request-reply', 'embedded-kafka']) {
    const code = `import('@milena/${name}').catch((error) => console.log(error.message))`
    const { stdout } = await run(process.execPath, ['--import', old, '--eval', code], { cwd: folder })
    assert.equal(stdout, `@milena/${name} needs Node 22.22 or newer; this is Node 20.1.0\n`)
  }
  const command = run(process.execPath, ['--import', old, 'node_modules/.bin/embedded-kafka'], {
    cwd: folder,
  })
  await assert.rejects(command, { code: 1, stderr: /^@milena\/embedded-kafka needs Node 22\.22 .*\n$/ })
})

function skipped(context: TestContext): boolean {
  if (offline !== undefined) context.skip(offline)
  return offline !== undefined
}

function nodeOf(version: number, context: TestContext): string | undefined {
  if (skipped(context)) return undefined
  if (version === 24) return process.execPath
  const node = join(folder, 'node_modules/node22/bin/node')
  if (existsSync(node)) return node
  context.skip('there is no Node 22 in the registry for this machine')
  return undefined
}

async function codeOf(name: string, block: number): Promise<string> {
  const readme = await readFile(`${root}/packages/${name}/README.md`, 'utf8')
  const code = [...readme.matchAll(/```ts\n([^]*?)```/g)][block]?.[1]
  assert.ok(code !== undefined, `the README of ${name} has no code number ${block}`)
  return code
}

/** Puts the example there; its test's text, which imports the example as is said. */
async function copyOwnRouting(imported: string): Promise<string> {
  await copyFile(`${root}/examples/own-routing.ts`, join(folder, 'own-routing.ts'))
  const code = await readFile(`${root}/examples/testing/own-routing.test.ts`, 'utf8')
  return code.replace("'../own-routing.ts'", `'${imported}'`)
}

async function runCode(node: string, name: string, block: number): Promise<string> {
  const file = `${name}-${block}.mjs`
  await writeFile(join(folder, file), await codeOf(name, block))
  return (await run(node, [file], { cwd: folder, timeout: 60_000 })).stdout
}
