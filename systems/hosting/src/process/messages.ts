/** What supervisor and child say to each other over IPC. */
export type ToChild = { readonly type: 'start'; readonly config: unknown }

export type FromChild =
  /** The child serves; `facts` is what others need to know of it, such as its URL. */
  | { readonly type: 'ready'; readonly facts: unknown }
  /** The child cannot start. `usage`: a person can put it right (see `StartError`). */
  | { readonly type: 'failed'; readonly message: string; readonly usage: boolean }
