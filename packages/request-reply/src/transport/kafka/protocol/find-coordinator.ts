/** FindCoordinator (key 10): the broker of a group. Versions 3 to 6; from 4 on several groups may be asked for (KIP-699). */
import type { Api } from './api.ts'
import type { Reader } from './reader.ts'

const GROUP = 0

export interface FoundCoordinator {
  readonly errorCode: number
  readonly id: number
  readonly host: string
  readonly port: number
}

/** `undefined`: the broker has said nothing of the group. */
export const findCoordinatorApi: Api<{ readonly groupId: string }, FoundCoordinator | undefined> = {
  name: 'FindCoordinator',
  key: 10,
  versions: { oldest: 3, newest: 6 },
  flexibleFrom: 3,
  throttledFrom: 1,
  write(to, { groupId }, version) {
    if (version === 3) to.text(groupId).int8(GROUP).tags()
    else
      to.int8(GROUP)
        .array([groupId], (writer, key) => writer.text(key))
        .tags()
  },
  read(from, version) {
    if (version === 3) {
      const errorCode = from.int16()
      from.nullableText()
      const found = { errorCode, ...readBroker(from) }
      from.tags()
      return found
    }
    const [first] = from.array((reader) => {
      reader.text() // the group
      const broker = readBroker(reader)
      const errorCode = reader.int16()
      reader.nullableText()
      reader.tags()
      return { errorCode, ...broker }
    })
    from.tags()
    return first
  },
}

function readBroker(from: Reader): Omit<FoundCoordinator, 'errorCode'> {
  return { id: from.int32(), host: from.text(), port: from.int32() }
}
