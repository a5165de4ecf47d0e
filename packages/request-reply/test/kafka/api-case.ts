/** What an API's bytes are tested by. */
import * as client from '@platformatic/kafka'
import type { Api } from '../../src/transport/kafka/protocol/api.ts'
import type { Writer } from '../../src/transport/kafka/protocol/writer.ts'

export interface ApiCase {
  readonly api: Api<unknown, unknown>
  readonly request: unknown
  /** What the client's encoder is given for the same request. */
  readonly theirs: (version: number) => readonly unknown[]
  /** An answer, behind its throttle time. */
  readonly answer: (to: Writer, version: number) => void
  /** What is read of it. */
  readonly read: (version: number) => unknown
  /** The client's answer, in our form. */
  readonly seen: (answer: never, version: number) => unknown
}

export function apiCase<Request, Answer>(
  api: Api<Request, Answer>,
  request: Request,
  rest: {
    readonly theirs: ApiCase['theirs']
    readonly answer: ApiCase['answer']
    readonly read: (version: number) => Answer
    readonly seen: ApiCase['seen']
  },
): ApiCase {
  return { api, request, ...rest }
}

export interface TheirApi {
  readonly createRequest: (...given: readonly unknown[]) => client.Writer
  readonly parseResponse: (
    correlation: number,
    key: number,
    version: number,
    reader: client.Reader,
  ) => unknown
}

/** The client's encoder and decoder; `undefined` where it does not have this version. */
export function theirApi({ name }: Api<never, unknown>, version: number): TheirApi | undefined {
  const key = `${name[0]!.toLowerCase()}${name.slice(1)}V${version}`
  return (client as unknown as Record<string, TheirApi | undefined>)[key]
}

/** What the client reads of an answer. */
export type Theirs<One extends { parseResponse: (...args: never[]) => unknown }> = ReturnType<
  One['parseResponse']
>

/** As another client wants them: by topic. */
export function byTopic<One extends { topic: string }, Theirs>(
  list: readonly One[],
  theirs: (one: One) => Theirs,
): { name: string; topic: string; partitions: Theirs[]; partitionIndexes: Theirs[] }[] {
  return [...Map.groupBy(list, (one) => one.topic)].map(([topic, ones]) => {
    const partitions = ones.map(theirs)
    return { name: topic, topic, partitions, partitionIndexes: partitions }
  })
}

/** Partitions as most answers have them. */
export function writeTopics<One extends { topic: string }>(
  to: Writer,
  list: readonly One[],
  one: (to: Writer, one: One) => void,
): void {
  to.array([...Map.groupBy(list, ({ topic }) => topic)], (w, [topic, ones]) =>
    w.text(topic).array(ones, one).tags(),
  )
}
