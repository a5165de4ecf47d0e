/** Opens a reply routing; what a strategy of the user's own leaves out is filled in. */
import type { Trouble } from '../transport/transport.ts'
import type { OpenReplyRouting, ReplyRouting, RoutingContext } from './routing.ts'

/** An open routing with all its methods, each of them cheap to call. */
export type CompleteReplyRouting = Required<OpenReplyRouting>

const none: readonly never[] = []

export async function openRouting(
  replyRouting: ReplyRouting,
  context: RoutingContext,
): Promise<CompleteReplyRouting> {
  let told: readonly Trouble[] = none
  const routing = await replyRouting.open({
    ...context,
    receive: (records) => context.receive(records),
    unreadable: (range) => context.unreadable(range),
    warn: (error) => context.warn(error),
    onTrouble(troubles) {
      told = troubles
      context.onTrouble(troubles)
    },
  })
  return {
    address: () => routing.address(),
    troubles: () => (routing.troubles === undefined ? told : routing.troubles()),
    positions: () => routing.positions?.() ?? none,
    caughtUp: () => routing.caughtUp?.() ?? Promise.resolve(),
    close: () => routing.close(),
  }
}
