/** The system as a part of another program. */
export { connect } from './database/connect.ts'
export { createShops, readShops, type StoredShop } from './database/shops.ts'
export { DeliverySystem, type Service, type SystemOptions } from './system.ts'
