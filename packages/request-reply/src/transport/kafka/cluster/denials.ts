/** That a partition does not exist is certain once enough answers have said so: one broker may lag behind the others. */

/** As many answers, which brokers give in turn, over as many milliseconds. */
const ANSWERS = 3
const OVER = 300

/** Something that waits for its partition, and the answers since then that do not have it. */
export interface Denied {
  denials?: { readonly since: number; readonly answers: number } | undefined
}

/** An answer does not have it. Whether that is certain now. */
export function deny(one: Denied, now: number): boolean {
  const { since, answers } = one.denials ?? { since: now, answers: 0 }
  one.denials = { since, answers: answers + 1 }
  return answers + 1 >= ANSWERS && now - since >= OVER
}
