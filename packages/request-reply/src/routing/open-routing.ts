/** Opens a reply routing; what a strategy of the user's own leaves out is filled in. */
import { OptionsError } from '../errors.ts'
import type { Trouble } from '../transport/transport.ts'
import type { OpenReplyRouting, ReplyRouting, RoutingContext } from './routing.ts'

/** An open routing with all its methods, each of them cheap to call. */
export type CompleteReplyRouting = Required<Omit<OpenReplyRouting, 'correlationPrefix'>> &
  Pick<OpenReplyRouting, 'correlationPrefix'> &
  Pick<ReplyRouting, 'name'>

/** Of a correlation id's 16 bytes at least this many are random, so that nobody can guess one. */
const longestPrefix = 8

const none: readonly never[] = []

export async function openRouting(
  replyRouting: ReplyRouting,
  context: RoutingContext,
): Promise<CompleteReplyRouting> {
  let told: readonly Trouble[] = none
  const routing = await replyRouting.open({
    ...context,
    pending: () => context.pending(),
    receive: (records) => context.receive(records),
    unreadable: (range) => context.unreadable(range),
    warn: (error) => context.warn(error),
    onTrouble(troubles) {
      told = troubles
      context.onTrouble(troubles)
    },
  })
  const { correlationPrefix } = routing
  if (correlationPrefix !== undefined && !(correlationPrefix.length <= longestPrefix)) {
    await routing.close()
    const problem = `its correlationPrefix may have ${longestPrefix} bytes, not ${correlationPrefix.length}`
    throw new OptionsError(`reply routing ${replyRouting.name}`, [problem])
  }
  return {
    name: replyRouting.name,
    correlationPrefix,
    oneReplyEach: routing.oneReplyEach === true,
    address: () => routing.address(),
    troubles: () => (routing.troubles === undefined ? told : routing.troubles()),
    positions: () => routing.positions?.() ?? none,
    caughtUp: () => routing.caughtUp?.() ?? Promise.resolve(),
    close: () => routing.close(),
  }
}
