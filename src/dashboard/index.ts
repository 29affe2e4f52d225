export { checkAccess } from './access.js'
export { createDashboard } from './dashboard.js'
