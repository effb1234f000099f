"""From trees and a schema to typed policies, or to findings."""
