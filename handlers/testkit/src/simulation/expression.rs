//! DynamoDB's expressions: conditions of writes, of keys and of filters.
//!
//! It supports the grammar that the functions use: comparisons, `attribute_exists`, `attribute_not_exists`,
//! `begins_with`, `BETWEEN`, `NOT`, `AND`, `OR` and parentheses. Anything else fails the test.

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// A row of a table: its attributes, as DynamoDB writes them.
pub(super) type Row = Map<String, Value>;

/// An expression, and the call that defines its placeholders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expression<'a> {
    text: &'a str,
    call: &'a Value,
}

/// A value to compare. In DynamoDB, values of different types are unequal, and neither is less.
#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Text(String),
    Number(i128),
    Missing,
}

impl<'a> Expression<'a> {
    /// The call's expression of this name, if it has one.
    pub(super) fn of(call: &'a Value, name: &str) -> Option<Self> {
        Some(Self { text: call[name].as_str()?, call })
    }

    /// Whether the expression holds for a row. Without a row, all attributes are missing.
    pub(super) fn holds(&self, row: Option<&Row>) -> bool {
        let mut parser = Parser { expression: *self, tokens: tokens(self.text), next: 0, row };
        let holds = parser.any();
        assert_eq!(parser.next, parser.tokens.len(), "the simulation cannot read {:?} to its end", self.text);
        holds
    }
}

fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = vec![];
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let is_word = |character: char| character.is_ascii_alphanumeric() || "_#:.".contains(character);
        let length = match rest.find(|character| !is_word(character)) {
            Some(0) if ["<=", ">=", "<>"].iter().any(|operator| rest.starts_with(operator)) => 2,
            Some(0) => 1,
            Some(length) => length,
            None => rest.len(),
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(token);
        rest = behind.trim_start();
    }
    tokens
}

struct Parser<'a> {
    expression: Expression<'a>,
    tokens: Vec<&'a str>,
    next: usize,
    row: Option<&'a Row>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.next).copied()
    }

    fn token(&mut self) -> &'a str {
        let token = self.peek().unwrap_or_else(|| panic!("{:?} ends too soon", self.expression.text));
        self.next += 1;
        token
    }

    fn skip(&mut self, expected: &str) {
        let found = self.token();
        assert_eq!(found, expected, "in {:?}", self.expression.text);
    }

    fn takes(&mut self, token: &str) -> bool {
        let is_next = self.peek() == Some(token);
        self.next += usize::from(is_next);
        is_next
    }

    /// Evaluates alternatives. All are parsed, whatever the first ones say.
    fn any(&mut self) -> bool {
        let mut holds = self.all();
        while self.takes("OR") {
            holds |= self.all();
        }
        holds
    }

    fn all(&mut self) -> bool {
        let mut holds = self.condition();
        while self.takes("AND") {
            holds &= self.condition();
        }
        holds
    }

    fn condition(&mut self) -> bool {
        if self.takes("NOT") {
            return !self.condition();
        }
        if self.takes("(") {
            let holds = self.any();
            self.skip(")");
            return holds;
        }
        let first = self.token();
        if self.peek() == Some("(") {
            return self.function(first);
        }
        let left = self.operand(first);
        match self.token() {
            "BETWEEN" => {
                let (least, most) = (self.value(), {
                    self.skip("AND");
                    self.value()
                });
                compare(&left, &least).is_some_and(Ordering::is_ge)
                    && compare(&left, &most).is_some_and(Ordering::is_le)
            }
            "=" => left == self.value() && left != Operand::Missing,
            "<>" => left != self.value(),
            operator => {
                let order = compare(&left, &self.value());
                match operator {
                    "<" => order.is_some_and(Ordering::is_lt),
                    "<=" => order.is_some_and(Ordering::is_le),
                    ">" => order.is_some_and(Ordering::is_gt),
                    ">=" => order.is_some_and(Ordering::is_ge),
                    other => panic!("the simulation knows no {other} in {:?}", self.expression.text),
                }
            }
        }
    }

    fn function(&mut self, name: &str) -> bool {
        self.skip("(");
        let argument = self.value();
        let holds = match name {
            "attribute_exists" => argument != Operand::Missing,
            "attribute_not_exists" => argument == Operand::Missing,
            "begins_with" => {
                self.skip(",");
                match (argument, self.value()) {
                    (Operand::Text(text), Operand::Text(start)) => text.starts_with(&start),
                    _ => false,
                }
            }
            other => panic!("the simulation knows no {other}"),
        };
        self.skip(")");
        holds
    }

    fn value(&mut self) -> Operand {
        let token = self.token();
        self.operand(token)
    }

    fn operand(&self, token: &str) -> Operand {
        let call = self.expression.call;
        let value = if token.starts_with(':') {
            let value = call["ExpressionAttributeValues"].get(token);
            Some(value.unwrap_or_else(|| panic!("{token} of {:?} has no value", self.expression.text)))
        } else {
            let name = if token.starts_with('#') {
                call["ExpressionAttributeNames"][token].as_str().expect("an attribute's name")
            } else {
                token
            };
            self.row.and_then(|row| row.get(name))
        };
        match value {
            None => Operand::Missing,
            Some(value) => match (value["S"].as_str(), value["N"].as_str()) {
                (Some(text), _) => Operand::Text(text.to_owned()),
                (_, Some(number)) => Operand::Number(number.parse().expect("a whole number")),
                _ => panic!("the simulation compares texts and numbers, not {value}"),
            },
        }
    }
}

fn compare(left: &Operand, right: &Operand) -> Option<Ordering> {
    match (left, right) {
        (Operand::Text(left), Operand::Text(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Operand::Number(left), Operand::Number(right)) => Some(left.cmp(right)),
        _ => None,
    }
}
