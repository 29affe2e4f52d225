export { hasParent, hostEnvironment, takeHandedEnvironment } from './handed-environment.js'
export { loadEnvironment } from './load.js'
export { type GivenByOptions, type WatchedEnvironment, watchEnvironment } from './settings.js'
export { type Environment, type Variable, variables } from './variables.js'
