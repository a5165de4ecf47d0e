import type { Import } from './imports.ts'

/** What is wrong with an import and what to do about it; undefined when nothing is. */
export type ImportRule = (imported: Import) => string | undefined

const library = 'packages/request-reply/src/'
const clients =
  /^(@platformatic\/kafka|kafkajs|node-rdkafka|@confluentinc\/kafka-javascript|kafka-crab-js)(\/|$)/

/**
 * A folder whose parts import one way: a file may import from its own row and from rows above it, and in the first row
 * from any part of it. Parts that stand side by side further down never import each other. The files beside the
 * folders are base, save the ends of all ways, which import anything (so that whoever imports them is in a circle).
 */
interface OneWay {
  readonly folder: string
  readonly rows: readonly (readonly string[])[]
  readonly ends: readonly string[]
}

const oneWays: readonly OneWay[] = [
  {
    folder: library,
    rows: [
      ['base', 'contract', 'wire'],
      ['transport'],
      ['journal'],
      ['routing'],
      ['requester', 'replier'],
      ['retry', 'idempotency'],
      ['dead-letters'],
      ['saga'],
      ['testing'],
    ],
    ends: ['index.ts', 'testing.ts'],
  },
  {
    folder: `${library}transport/kafka/`,
    rows: [
      ['base', 'protocol', 'waiting', 'batches'],
      ['connection'],
      ['cluster'],
      ['sending', 'reading'],
      ['group'],
    ],
    ends: ['kafka-transport.ts', 'open-kafka.ts'],
  },
]

export const importRules: readonly ImportRule[] = [
  ...oneWays.map(direction),
  entryPointsStayOutside,
  contractsStayOutside,
  noKafkaClient,
  embeddedBrokerStandsAlone,
  packagesStandAlone,
  publicNamesOnly,
  examplesStandAlone,
]

function direction({ folder, rows, ends }: OneWay): ImportRule {
  const part = (file: string): string => {
    const rest = file.slice(folder.length)
    return rest.includes('/') ? (rest.split('/')[0] ?? '') : 'base'
  }
  const isEnd = (file: string): boolean => ends.includes(file.slice(folder.length))
  const rowOf = (name: string): number => rows.findIndex((row) => row.includes(name))
  const order = rows.map((row) => row.join(', ')).join(' ← ')
  return ({ from, target }) => {
    if (!from.startsWith(folder) || !target?.startsWith(folder)) return undefined
    if (isEnd(from) || isEnd(target)) return undefined
    const own = part(from)
    const other = part(target)
    if (own === other) return undefined
    const [here, there] = [rowOf(own), rowOf(other)]
    if (here < 0 || there < 0) {
      const unknown = here < 0 ? own : other
      return `the folder ${unknown}/ has no place in the direction of imports: give it one in tools/check/import-rules.ts`
    }
    if (there < here || (there === here && here === 0)) return undefined
    if (there === here) return `${own} must not import ${other}: move what both need into a row before them`
    return `${own} must not import ${other}, which stands after it (${order}): move what it needs towards the base`
  }
}

function entryPointsStayOutside({ from, target }: Import): string | undefined {
  const entry = /^packages\/[^/]+\/src\/(index|testing)\.ts$/.exec(target ?? '')
  const inside = entry && from.startsWith(`${target?.split('/').slice(0, 3).join('/')}/`)
  if (!inside || /\/src\/(index|testing)\.ts$/.test(from)) return undefined
  return `nothing inside imports ${entry[1]}.ts: import the file that defines it`
}

/** Contracts are for test files: what an application loads must not have them with it. */
function contractsStayOutside({ from, target }: Import): string | undefined {
  if (from !== `${library}index.ts` || !target?.startsWith(`${library}testing/`)) return undefined
  return 'only testing.ts exports what is in testing/'
}

function noKafkaClient({ from, specifier }: Import): string | undefined {
  if (!clients.test(specifier) || !/^(packages|systems)\/[^/]+\/src\//.test(from)) return undefined
  return `nothing in packages and systems imports a Kafka client (${specifier}): use the transport, which speaks Kafka's protocol itself`
}

function embeddedBrokerStandsAlone({ from, specifier }: Import): string | undefined {
  if (!from.startsWith('packages/embedded-kafka/src/')) return undefined
  if (!specifier.startsWith('@milena/')) return undefined
  return 'the embedded broker imports no other package of the project: it must be able to prove them wrong'
}

function packagesStandAlone({ from, target, specifier }: Import): string | undefined {
  const own = /^packages\/[^/]+\//.exec(from)?.[0]
  if (own === undefined) return undefined
  if (specifier.startsWith('@milena/system-') || specifier === '@milena/bench') {
    return `a package must not import a system or the benchmark (${specifier})`
  }
  if (target === undefined || target.startsWith(own)) return undefined
  if (/^(systems|bench|examples)\//.test(target)) return `a package must not import ${target.split('/')[0]}/`
  // Whoever implements a port passes its contract suite, wherever that stands.
  if (/^packages\/[^/]+\/test\/[^/]+-contract\.ts$/.test(target) && from.startsWith(`${own}test/`))
    return undefined
  if (target.startsWith('packages/')) return 'a package imports another one by its public name, @milena/…'
  // Tests of a package may use tools/ and test/support/, its sources may not.
  if (!from.startsWith(`${own}src/`)) return undefined
  return `a package's source must not import what is outside of it (${target})`
}

function publicNamesOnly({ from, target, specifier }: Import): string | undefined {
  const own = /^(systems\/[^/]+|bench)\//.exec(from)?.[0]
  if (own === undefined) return undefined
  if (target?.startsWith('packages/') || /^@milena\/[^/]+\/(src|dist)\//.test(specifier)) {
    return 'import a package by its public name, @milena/…; what is missing there is to be exported'
  }
  if (own !== 'bench/' && target !== undefined && !target.startsWith(own) && from.startsWith(`${own}src/`)) {
    return `a system's source must not import what is outside of it (${target})`
  }
  return undefined
}

function examplesStandAlone({ from, target, specifier }: Import): string | undefined {
  if (!from.startsWith('examples/')) return undefined
  const inside = /^@milena\/(system-|hosting|bench)|^@milena\/[^/]+\/(src|dist)\//.test(specifier)
  if (target === undefined && !inside) return undefined
  // A test of an example imports that example, and is copied with it.
  const tested = /^examples\/testing\/([^/]+)\.test\.ts$/.exec(from)?.[1]
  if (tested !== undefined && target === `examples/${tested}.ts`) return undefined
  return `an example is one file to copy: it imports packages by their public names only (${specifier})`
}
