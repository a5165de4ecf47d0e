/** Text as it comes from outside: one rule for all services, so that none takes what another one behind it cannot keep. */
import { z } from 'zod'

/**
 * PostgreSQL keeps no NUL, and half of a surrogate pair becomes another character on its way: what is stored, or sent,
 * would not be what was given.
 */
export const textSchema = z
  .string()
  .refine((text) => text.isWellFormed() && !text.includes('\0'), 'has a NUL, or half of a surrogate pair')

/** A caller's own name for something. Not `.` or `..`, which clients take out of a path (RFC 3986, 5.2.4). */
export const idSchema = z
  .string()
  .regex(
    /^(?!\.{1,2}$)[A-Za-z0-9._:~-]{1,100}$/,
    "must be 1 to 100 letters, digits or . _ : ~ -, and not '.' or '..'",
  )
