/** What stands in the mails. */
import type { Mail } from '../messages.ts'

export interface Coupon {
  readonly id: string
  readonly title: string
}

export function giftMail(mailId: string, { id, title }: Coupon, recipient: string, message: string): Mail {
  const said = message === '' ? '' : `${message}\n\n`
  return {
    mailId,
    recipient,
    subject: `A gift for you: ${title}`,
    text: `${said}Your coupon: ${id}/${mailId}`,
  }
}

export function previewMail(mailId: string, { title }: Coupon, recipient: string): Mail {
  return { mailId, recipient, subject: `Preview: ${title}`, text: 'So it will look.' }
}
