//! A text is scoped only by its language's reader, which proves it.

use palisade::tenant::ScopeMatchers;

fn of(scope: &ScopeMatchers) {
    let _ = palisade::lang::ScopedText::proven("up".to_owned(), 0, Vec::new(), scope);
}

fn main() {}
