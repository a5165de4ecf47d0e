/** The system as a part of another program. */
export {
  CouponSystem,
  services,
  type CouponSurroundings,
  type Service,
  type SystemOptions,
} from './system.ts'
