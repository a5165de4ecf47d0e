/**
 * Where in a side's process time or memory goes, told from a profile's call tree.
 *
 * The rule: a function belongs to the place of its file. A function of Node or of V8 whose file tells nothing
 * (`Buffer.from`, `Map.set`, `JSON.parse`, a listener being called) belongs where its nearest caller belongs that does tell.
 */
import type { Runtime } from 'node:inspector'

/** In the order of the tables. */
export const places = [
  'requester',
  'replier',
  'routing',
  'wire',
  'validation and codec',
  'sending',
  'reading',
  'group',
  'connections and protocol',
  'Milena, the rest',
  'Kafka client',
  'Node: net and streams',
  'Node: timers, promises, ticks',
  'Node: the rest',
  'garbage collection',
  'native, system calls',
  'benchmark',
] as const

export type Place = (typeof places)[number]

/** A node of a profile, with what its function itself took. */
export interface CallNode {
  readonly callFrame: Pick<Runtime.CallFrame, 'functionName' | 'url' | 'lineNumber'>
  readonly self: number
  readonly children: readonly CallNode[]
}

/** The first that matches a file counts. */
const files: readonly (readonly [RegExp, Place])[] = [
  [/\/request-reply\/src\/requester\//, 'requester'],
  [/\/request-reply\/src\/replier\//, 'replier'],
  [/\/request-reply\/src\/routing\//, 'routing'],
  [/\/request-reply\/src\/wire\//, 'wire'],
  [/\/request-reply\/src\/contract\/|\/node_modules\/zod\//, 'validation and codec'],
  [/\/src\/transport\/((partitioner|malformed)\.ts$|kafka\/sending\/)/, 'sending'],
  [/\/src\/transport\/kafka\/(reading|batches)\//, 'reading'],
  [/\/src\/transport\/kafka\/group\//, 'group'],
  [/\/src\/transport\/kafka\/(connection|cluster|protocol|waiting)\//, 'connections and protocol'],
  [/\/request-reply\/src\//, 'Milena, the rest'],
  [/\/bench\/src\//, 'benchmark'],
  // Of the sides that measure another client: it, what it depends on, and its WebAssembly.
  [/\/node_modules\/|^wasm:/, 'Kafka client'],
  [/^node:(net|tls|stream|internal\/(streams|stream_base_commons|net))\b/, 'Node: net and streams'],
  [
    /^node:(timers|internal\/(timers|process\/(task_queues|promises)|async_hooks|promise_hooks))\b/,
    'Node: timers, promises, ticks',
  ],
]

/** V8's own names for what is no function. `(idle)` and `(root)` are no work. */
const states: Readonly<Record<string, Place | 'nothing'>> = {
  '(idle)': 'nothing',
  '(root)': 'nothing',
  '(program)': 'native, system calls',
  '(garbage collector)': 'garbage collection',
}

export interface Attribution {
  readonly places: Partial<Record<Place, number>>
  /** Each function with what it took itself, the most first. */
  readonly functions: readonly { readonly name: string; readonly amount: number }[]
}

export function attribute(root: CallNode): Attribution {
  const sums: Partial<Record<Place, number>> = {}
  const functions = new Map<string, number>()
  const visit = (node: CallNode, callers: Place): void => {
    const { functionName, url, lineNumber } = node.callFrame
    const state = url === '' ? states[functionName] : undefined
    const place = state === 'nothing' ? callers : (state ?? placeOfFile(url) ?? callers)
    if (node.self > 0 && state !== 'nothing') {
      sums[place] = (sums[place] ?? 0) + node.self
      const file = url.split('/').slice(-2).join('/')
      // V8 counts lines from 0.
      const name =
        file === ''
          ? functionName || '(anonymous)'
          : `${functionName || '(anonymous)'} ${file}:${lineNumber + 1}`
      functions.set(name, (functions.get(name) ?? 0) + node.self)
    }
    for (const child of node.children) visit(child, place)
  }
  visit(root, 'Node: the rest')
  return {
    places: sums,
    functions: [...functions]
      .map(([name, amount]) => ({ name, amount }))
      .toSorted((a, b) => b.amount - a.amount),
  }
}

function placeOfFile(url: string): Place | undefined {
  return files.find(([pattern]) => pattern.test(url))?.[1]
}
