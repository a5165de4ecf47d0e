/**
 * The headers that an application chooses for its replies: the replier's for all of them, and beside these an operation's
 * own. Of a name that both have, the operation's counts.
 */
import type { IncomingRecord } from '../transport/transport.ts'
import {
  encodeHeaders,
  isSame,
  lastHeader,
  problemOfHeaders,
  type HeaderInput,
  type RawHeader,
} from '../wire/headers.ts'
import type { ReservedHeaders } from '../wire/reserved-headers.ts'
import { wordsOf } from '../words.ts'
import type { HandlerContext } from './context.ts'

/** What an application may say of them, for all replies and for those of an operation. */
export interface ReplyHeaderOptions {
  readonly copyHeaders?: readonly string[] | undefined
  readonly replyHeaders?: HeaderInput | ((context: HandlerContext) => HeaderInput) | undefined
}

/** What it has said, checked. */
export interface ReplyHeaders {
  /** Names of the request's headers. */
  readonly copied: readonly Buffer[]
  /** The same for each reply. */
  readonly added: readonly RawHeader[]
  /** Made for each. */
  readonly made: ((context: HandlerContext) => HeaderInput) | undefined
}

const none: readonly RawHeader[] = []

/** Reads them; what is wrong is added to `problems`. */
export function readReplyHeaders(
  { copyHeaders = [], replyHeaders }: ReplyHeaderOptions,
  reserved: ReservedHeaders,
  problems: string[],
): ReplyHeaders {
  const copied = readNames('copyHeaders', copyHeaders, reserved, problems)
  if (typeof replyHeaders === 'function') return { copied, added: none, made: replyHeaders }
  let added: readonly RawHeader[] = none
  if (replyHeaders !== undefined) {
    try {
      const problem = problemOfHeaders(replyHeaders)
      if (problem !== undefined) throw new TypeError(`${problem}; or a function that returns one`)
      added = encodeHeaders(replyHeaders)
      reserved.refuse(added)
    } catch (error) {
      problems.push(`replyHeaders: ${wordsOf(error)}`)
    }
  }
  return { copied, added, made: undefined }
}

/** Reads an option that lists names of headers. */
export function readNames(
  option: string,
  names: readonly string[],
  reserved: ReservedHeaders,
  problems: string[],
): Buffer[] {
  if (!Array.isArray(names)) {
    problems.push(`${option} must be a list`)
    return []
  }
  return (names as readonly unknown[]).flatMap((name) => {
    if (typeof name !== 'string' || name === '') {
      problems.push(`${option} must be names`)
      return []
    }
    const bytes = Buffer.from(name)
    if (!reserved.has(bytes)) return bytes
    problems.push(`${option}: ${name} is one of the library's own`)
    return []
  })
}

/** Which headers go on which reply. */
export class ChosenHeaders {
  readonly #general: ReplyHeaders
  readonly #reserved: ReservedHeaders

  constructor(general: ReplyHeaders, reserved: ReservedHeaders) {
    this.#general = general
    this.#reserved = reserved
  }

  /**
   * @param context undefined for a request that has reached no operation: then nothing is made for its reply
   * @param own the operation's
   * @param isError then a function that throws, or names one of ours, adds nothing: the error matters more
   * @throws what the application's function throws; TypeError when it names a reserved header
   */
  of(
    request: IncomingRecord,
    context: HandlerContext | undefined,
    own: ReplyHeaders | undefined,
    isError: boolean,
  ): readonly RawHeader[] {
    const general = this.#each(this.#general, request, context, isError)
    if (own === undefined) return general
    const chosen = this.#each(own, request, context, isError)
    if (general.length === 0) return chosen
    return [...general.filter(([name]) => !chosen.some(([other]) => isSame(name, other))), ...chosen]
  }

  #each(
    { copied, added, made }: ReplyHeaders,
    request: IncomingRecord,
    context: HandlerContext | undefined,
    isError: boolean,
  ): readonly RawHeader[] {
    let headers: RawHeader[] | undefined
    for (const name of copied) {
      const value = lastHeader(request.headers, name)
      if (value !== undefined) (headers ??= []).push([name, value])
    }
    if (added.length > 0) (headers ??= []).push(...added)
    if (made !== undefined && context !== undefined)
      (headers ??= []).push(...this.#make(made, context, isError))
    return headers ?? none
  }

  #make(
    made: (context: HandlerContext) => HeaderInput,
    context: HandlerContext,
    isError: boolean,
  ): readonly RawHeader[] {
    try {
      const headers = encodeHeaders(made(context))
      this.#reserved.refuse(headers)
      return headers
    } catch (error) {
      if (isError) return none
      throw error
    }
  }
}
