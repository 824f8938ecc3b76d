//! The schema `public` of one statement: its tables, and its views, each of which is planned when somebody names it.

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

use crate::views::View;

/// Names of the catalog and of its schema.
pub(crate) const CATALOG: &str = "headwater";
pub(crate) const SCHEMA: &str = "public";

/// Tables, and views over them. A view sees all tables, and the views before it.
#[derive(Debug, Clone)]
pub(crate) struct Public {
    tables: Arc<BTreeMap<String, Arc<dyn TableProvider>>>,
    views: Arc<[Arc<View>]>,
    /// How many of the views there are.
    seen: usize,
    /// What plans a view, without tables.
    base: SessionState,
}

impl Public {
    /// These tables and views; a view that has the name of a table, or of a view before it, is left out.
    pub(crate) fn new(
        base: SessionState,
        tables: BTreeMap<String, Arc<dyn TableProvider>>,
        all: Vec<Arc<View>>,
    ) -> Public {
        let mut views: Vec<Arc<View>> = Vec::new();
        for view in all {
            if tables.contains_key(&view.name) || views.iter().any(|v| v.name == view.name) {
                view.leave_out("there is a table of this name");
            } else {
                views.push(view);
            }
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
        let views = views.filter(|view| !view.is_left_out());
        let views = views.map(|view| view.name.clone());
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
        match plan {
            Ok(plan) => {
                view.take_in();
                let text = view.query.clone();
                Ok(Some(Arc::new(ViewTable::new(plan, Some(text)))))
            }
            Err(error) => {
                view.leave_out(&error.strip_backtrace());
                Ok(None)
            }
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.view(name).is_some()
    }
}
