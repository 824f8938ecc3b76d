//! The schema `public` of one statement: its tables, and its views, each of which is planned when somebody names it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    SchemaProvider, TableProvider,
};
use datafusion::datasource::ViewTable;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use tracing::warn;

use crate::views::UserView;

/// Names of the catalog and of its schema.
pub(crate) const CATALOG: &str = "headwater";
pub(crate) const SCHEMA: &str = "public";

/// A view by its name.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) name: Cow<'static, str>,
    pub(crate) query: Cow<'static, str>,
    /// Whose it is, if it is a user's.
    pub(crate) user: Option<Arc<UserView>>,
}

/// Tables, and views over them. A view sees all tables, and the views before it.
#[derive(Debug, Clone)]
pub(crate) struct Public {
    tables: Arc<BTreeMap<String, Arc<dyn TableProvider>>>,
    views: Arc<[View]>,
    /// How many of the views there are.
    seen: usize,
    /// What plans a view, without tables.
    base: SessionState,
}

impl Public {
    /// The tables, the program's `views`, and those of the `users`. A user's view that has the name of a table is left
    /// out.
    pub(crate) fn new(
        base: SessionState,
        tables: BTreeMap<String, Arc<dyn TableProvider>>,
        mut views: Vec<View>,
        users: &[Arc<UserView>],
    ) -> Public {
        for user in users {
            let is_there = |view: &View| view.name == user.name;
            if tables.contains_key(&user.name) || views.iter().any(is_there) {
                leave_out(user, "there is a table of this name");
                continue;
            }
            views.push(View {
                name: user.name.clone().into(),
                query: user.query.clone().into(),
                user: Some(user.clone()),
            });
        }
        Public {
            tables: tables.into(),
            seen: views.len(),
            views: views.into(),
            base,
        }
    }

    /// What runs a statement over this schema.
    pub(crate) fn state(self) -> Result<SessionState> {
        let mut state = self.base.clone();
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, Arc::new(self))?;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        state.register_catalog_list(Arc::new(catalogs));
        Ok(state)
    }

    fn view(&self, name: &str) -> Option<usize> {
        let views = &self.views[..self.seen];
        views.iter().position(|view| view.name == name)
    }
}

#[async_trait]
impl SchemaProvider for Public {
    fn table_names(&self) -> Vec<String> {
        let views = self.views[..self.seen].iter();
        let views = views.filter(|view| !view.user.as_ref().is_some_and(|user| user.is_left_out()));
        let views = views.map(|view| view.name.to_string());
        self.tables.keys().cloned().chain(views).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = self.tables.get(name) {
            return Ok(Some(table.clone()));
        }
        let Some(at) = self.view(name) else {
            return Ok(None);
        };
        let view = &self.views[at];
        let before = Public {
            seen: at,
            ..self.clone()
        };
        let plan = before.state()?.create_logical_plan(&view.query).await;
        match (plan, &view.user) {
            (Ok(plan), _) => {
                let text = view.query.to_string();
                Ok(Some(Arc::new(ViewTable::new(plan, Some(text)))))
            }
            // It is left out, for the others' sake.
            (Err(error), Some(user)) => {
                leave_out(user, &error.strip_backtrace());
                Ok(None)
            }
            (Err(error), None) => Err(error),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.view(name).is_some()
    }
}

fn leave_out(view: &UserView, reason: &str) {
    let name = view.name.as_str();
    view.left_out.call_once(|| {
        warn!(
            event = "view_left_out",
            view = name,
            reason,
            "the view `{name}` of VIEWS is left out: {reason}"
        );
    });
}
