export type { TrainerProfile } from './profile.js'
export { openTestControls, type TestControls } from './test-controls.js'
export { registerTestRoutes } from './test-routes.js'
export { createTrainerNode, type TrainerNode } from './trainer-node.js'
