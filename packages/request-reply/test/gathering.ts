/** What tests of requests with several replies have in common. */
import assert from 'node:assert/strict'
import type { RequestEndedStep } from '../src/diagnostics.ts'
import type { Gathered } from '../src/requester/gathered.ts'
import type { Answer } from '../src/testing/answering.ts'
import type { IncomingRecord } from '../src/transport/transport.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { errorHeaders, groupHeader } from '../src/wire/milena.ts'
import { assertAccounted, echo, seenOn, type Setup, setUp, until } from './requesting.ts'

export const value = Buffer.from('x')

/** A reply of a consumer group of Milena's; of none, one of Spring's. */
export function from(group: string | undefined, text: string): Answer {
  return { value: Buffer.from(text), headers: group === undefined ? [] : [groupHeader(group)!] }
}

export function errorFrom(group: string | undefined, name: string, effect?: 'none' | 'done'): Answer {
  const headers: RawHeader[] = errorHeaders({ code: name, message: 'no', effect })
  if (group !== undefined) headers.push(groupHeader(group)!)
  return { value: null, headers }
}

export interface Asked extends Setup {
  readonly gathered: Promise<Gathered<Buffer>>
  readonly request: IncomingRecord
  readonly ended: RequestEndedStep[]
  answer(...answers: Answer[]): Promise<void>
}

/** A request that nobody has answered yet. */
export async function ask(
  options: Parameters<Setup['requester']['requestMany']>[2] & object,
  given: Parameters<typeof setUp>[1] = {},
): Promise<Asked> {
  const ended = seenOn<RequestEndedStep>('milena:request:ended')
  const setup = await setUp(() => undefined, given)
  const gathered = setup.requester.requestMany(echo, value, options)
  gathered.catch(() => undefined)
  await until(() => setup.replier.requests.length === 1)
  const request = setup.replier.requests[0]!
  return {
    ...setup,
    gathered,
    request,
    ended,
    async answer(...answers) {
      for (const each of answers) await setup.replier.answer(request, each)
    },
  }
}

export const texts = ({ replies }: { readonly replies: readonly { readonly value: unknown }[] }): string[] =>
  replies.map((reply) => String(reply.value))

/** What is in flight counts against nothing any more. */
export function assertLetGo({ requester }: Setup): void {
  const { pending, pendingBytes, sending } = requester.stats()
  assert.deepEqual([pending, pendingBytes, sending], [0, 0, 0])
  assertAccounted(requester)
}
