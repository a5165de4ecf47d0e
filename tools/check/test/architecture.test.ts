import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { checkArchitecture } from '../architecture.ts'
import { readImports } from '../imports.ts'

/** What the check says of a checkout that consists of these files. */
async function violations(t: TestContext, files: Record<string, string>): Promise<string[]> {
  const root = await mkdtemp(join(tmpdir(), 'milena-architecture-'))
  t.after(() => rm(root, { recursive: true }))
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, file)), { recursive: true })
    await writeFile(join(root, file), text)
  }
  return checkArchitecture(root).violations
}

const src = 'packages/request-reply/src'

const planted: Record<string, [file: string, text: string, said: RegExp]> = {
  'base imports transport': [
    `${src}/errors.ts`,
    `// why\nimport { open } from './transport/open.ts'\n`,
    /errors\.ts:2: base must not import transport, which stands after it/,
  ],
  'base imports transport for a type only': [
    `${src}/errors.ts`,
    `import type { Transport } from './transport/transport.ts'\n`,
    /errors\.ts:1: base must not import transport/,
  ],
  'transport imports routing': [
    `${src}/transport/open.ts`,
    `import {\n  a,\n  b,\n} from '../routing/routing.ts'\n`,
    /open\.ts:4: transport must not import routing/,
  ],
  'routing imports the requester': [
    `${src}/routing/a.ts`,
    `export { x } from '../requester/requester.ts'\n`,
    /a\.ts:1: routing must not import requester/,
  ],
  'the requester imports the replier': [
    `${src}/requester/a.ts`,
    `const { x } = await import('../replier/replier.ts')\n`,
    /a\.ts:1: requester must not import replier: move what both need/,
  ],
  'the replier imports the requester': [
    `${src}/replier/a.ts`,
    `import type { X } from '../requester/requester.ts'\n`,
    /a\.ts:1: replier must not import requester: move what both need/,
  ],
  'the replier imports the saga': [
    `${src}/replier/a.ts`,
    `import { x } from '../saga/saga.ts'\n`,
    /replier must not import saga/,
  ],
  'in the transport over Kafka, connections import the cluster': [
    `${src}/transport/kafka/connection/a.ts`,
    `import { x } from '../cluster/a.ts'\n`,
    /a\.ts:1: connection must not import cluster, which stands after it/,
  ],
  'in the transport over Kafka, sending imports reading': [
    `${src}/transport/kafka/sending/a.ts`,
    `import { x } from '../reading/a.ts'\n`,
    /a\.ts:1: sending must not import reading: move what both need/,
  ],
  'in the transport over Kafka, a room without a place': [
    `${src}/transport/kafka/attic/a.ts`,
    `import { x } from '../options.ts'\n`,
    /the folder attic\/ has no place/,
  ],
  'something inside imports index.ts': [
    `${src}/requester/a.ts`,
    `import { x } from '../index.ts'\n`,
    /a\.ts:1: nothing inside imports index\.ts/,
  ],
  'a folder without a place': [
    `${src}/helpers/a.ts`,
    `import { x } from '../errors.ts'\n`,
    /the folder helpers\/ has no place/,
  ],
  'a client in the transport over Kafka': [
    `${src}/transport/kafka/a.ts`,
    `import { Admin } from '@platformatic/kafka'\n`,
    /nothing in packages and systems imports a Kafka client \(@platformatic\/kafka\)/,
  ],
  'a client in a system': [
    'systems/shop/src/a.ts',
    `import type { Admin } from 'kafkajs'\n`,
    /imports a Kafka client/,
  ],
  'a client in the embedded broker': [
    'packages/embedded-kafka/src/a.ts',
    `import { Kafka } from 'kafkajs'\n`,
    /imports a Kafka client/,
  ],
  'the library in the embedded broker': [
    'packages/embedded-kafka/src/a.ts',
    `import { x } from '@milena/request-reply'\n`,
    /the embedded broker imports no other package/,
  ],
  'a package imports a system': [
    `${src}/clock.ts`,
    `import { x } from '../../../systems/shop/src/a.ts'\n`,
    /a package must not import systems\//,
  ],
  "a package's test imports the benchmark": [
    'packages/request-reply/test/a.test.ts',
    `import { x } from '../../../bench/src/a.ts'\n`,
    /a package must not import bench\//,
  ],
  "a package's source imports tools": [
    `${src}/clock.ts`,
    `import { x } from '../../../tools/kafka/cluster.ts'\n`,
    /must not import what is outside of it \(tools\/kafka\/cluster\.ts\)/,
  ],
  "a package's source imports tests": [
    `${src}/clock.ts`,
    `import { x } from '../../../test/support/cluster.ts'\n`,
    /must not import what is outside of it/,
  ],
  'a package imports the inside of another': [
    `${src}/clock.ts`,
    `import { x } from '../../embedded-kafka/src/index.ts'\n`,
    /by its public name/,
  ],
  'a system imports the inside of a package': [
    'systems/shop/src/a.ts',
    `import { x } from '../../../packages/request-reply/src/clock.ts'\n`,
    /import a package by its public name/,
  ],
  'a system imports another system': [
    'systems/shop/src/a.ts',
    `import { x } from '../../other/src/a.ts'\n`,
    /a system's source must not import what is outside of it/,
  ],
  'an example imports the inside of a package': [
    'examples/a.ts',
    `import { x } from '../packages/request-reply/src/clock.ts'\n`,
    /an example is one file to copy/,
  ],
  'an example imports what only systems have': [
    'examples/a.ts',
    `import { x } from '@milena/hosting'\n`,
    /an example is one file to copy/,
  ],
  'the library imports a contract': [
    `${src}/requester/requester.ts`,
    `import { x } from '../testing/until.ts'\n`,
    /requester must not import testing, which stands after it/,
  ],
  'the library exports a contract to applications': [
    `${src}/index.ts`,
    `export { x } from './testing/until.ts'\n`,
    /only testing.ts exports what is in testing/,
  ],
  'a test of an example imports another example': [
    'examples/testing/first.test.ts',
    `import { x } from '../second.ts'\n`,
    /an example is one file to copy/,
  ],
  'a package imports an example': [
    `${src}/clock.ts`,
    `import { x } from '../../../examples/first.ts'\n`,
    /a package must not import examples\//,
  ],
}

for (const [name, [file, text, said]] of Object.entries(planted)) {
  test(`it is told: ${name}`, async (t) => {
    const told = await violations(t, { [file]: text })
    assert.equal(told.length, 1, told.join('\n'))
    assert.match(told[0] ?? '', said)
  })
}

test('it is told: a circle of files, once, with the way round', async (t) => {
  const told = await violations(t, {
    [`${src}/wire/a.ts`]: `import { b } from './b.ts'\n`,
    [`${src}/wire/b.ts`]: `\nimport type { C } from '../contract/c.ts'\n`,
    [`${src}/contract/c.ts`]: `import { a } from '../wire/a.ts'\nimport { d } from './d.ts'\n`,
    [`${src}/contract/d.ts`]: '',
  })
  assert.equal(told.length, 1, told.join('\n'))
  assert.match(
    told[0] ?? '',
    /c\.ts:1: files import each other in a circle \(.*c\.ts → .*a\.ts → .*b\.ts → .*c\.ts\)/,
  )
})

test('what goes the right way is not told', async (t) => {
  const told = await violations(t, {
    [`${src}/index.ts`]: `export { x } from './requester/a.ts'\n`,
    [`${src}/testing.ts`]: `export { x } from './transport/memory.ts'\nexport { y } from './testing/y.ts'\n`,
    [`${src}/testing/y.ts`]: `import { x } from '../requester/a.ts'\n`,
    [`${src}/requester/a.ts`]: `import { r } from '../routing/r.ts'\nimport { e } from '../errors.ts'\n`,
    [`${src}/routing/r.ts`]: `import { open } from '../transport/open.ts'\n`,
    [`${src}/transport/kafka/k.ts`]: `import '../../wire/h.ts'\n`,
    'packages/request-reply/test/a.test.ts': `import { c } from '../../../test/support/cluster.ts'\n`,
    'systems/shop/src/a.ts': `import { b } from './b.ts'\nimport { r } from '@milena/request-reply'\n`,
    'examples/testing/first.test.ts': `import { x } from '../first.ts'\n`,
    'bench/src/a.ts': `import { Producer } from '@platformatic/kafka'\n`,
    'tools/a.ts': `import { Admin } from '@platformatic/kafka'\n`,
  })
  assert.deepEqual(told, [])
})

test('every way of importing is seen, and text that only looks like one is not', () => {
  const text = [
    `import a, { type b } from './a.ts'`,
    `import * as c from "./c.ts"`,
    `import './d.ts'`,
    `export type { E } from './e.ts'`,
    `type F = import('./f.ts').F`,
    `const g = require('./g.ts')`,
    `// import { x } from './no.ts'`,
    ` * import { x } from './no.ts'`,
    `const text = "import x from './no.ts'"`,
  ].join('\n')
  const seen = readImports('packages/x/src/file.ts', text).map(({ specifier, line }) => [specifier, line])
  assert.deepEqual(seen, [
    ['./a.ts', 1],
    ['./c.ts', 2],
    ['./d.ts', 3],
    ['./e.ts', 4],
    ['./f.ts', 5],
    ['./g.ts', 6],
  ])
})
