//! A text is scoped only by its language's reader, which proves it.

fn main() {
    let _ = palisade::lang::ScopedText::proven("up".to_owned(), 0, Vec::new());
}
